package kubernetes

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/json" // whole numbers stay whole
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// definitions are the files with the CustomResourceDefinitions that the projects
// publish, by the module that holds them at the version of go.mod.
var definitions = map[string]string{
	"sigs.k8s.io/gateway-api":       "config/crd/experimental/*.yaml",
	"github.com/envoyproxy/gateway": "charts/gateway-helm/charts/crds/crds/generated/*.yaml",
	"istio.io/api":                  "kubernetes/customresourcedefinitions.gen.yaml",
}

// resource is one version of a kind, as an API server that has its definition would
// validate it.
type resource struct {
	structural *schema.Structural
	openAPI    validation.SchemaValidator
	rules      *cel.Validator
}

// resources are all the kinds of definitions, by "group/version Kind".
var resources = sync.OnceValues(func() (map[string]*resource, error) {
	all := map[string]*resource{}
	for module, files := range definitions {
		dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
		if err != nil {
			return nil, fmt.Errorf("finding %s: %w", module, err)
		}
		paths, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), files))
		if err != nil || len(paths) == 0 {
			return nil, fmt.Errorf("%s has no %s", module, files)
		}
		for _, path := range paths {
			if err := define(all, path); err != nil {
				return nil, fmt.Errorf("reading %s: %w", path, err)
			}
		}
	}
	return all, nil
})

// define adds the kinds of one file to all.
func define(all map[string]*resource, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(document, &crd); err != nil {
			return err
		}
		if crd.Kind != "CustomResourceDefinition" {
			continue
		}
		for _, version := range crd.Spec.Versions {
			if !version.Served {
				continue
			}
			r, err := compile(version.Schema.OpenAPIV3Schema)
			if err != nil {
				return fmt.Errorf("%s %s: %w", crd.Name, version.Name, err)
			}
			all[crd.Spec.Group+"/"+version.Name+" "+crd.Spec.Names.Kind] = r
		}
	}
	return nil
}

func compile(v1 *apiextensionsv1.JSONSchemaProps) (*resource, error) {
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v1, &internal, nil); err != nil {
		return nil, err
	}
	structural, err := schema.NewStructural(&internal)
	if err != nil {
		return nil, err
	}
	openAPI, _, err := validation.NewSchemaValidator(&internal)
	if err != nil {
		return nil, err
	}
	return &resource{structural: structural, openAPI: openAPI}, nil
}

// refusals are what an API server would say of the object: unknown keys, which kubectl
// refuses by default, the schema, and the rules in CEL.
func (r *resource) refusals(object map[string]any) []string {
	var all []string
	for _, path := range pruning.PruneWithOptions(object, r.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
		all = append(all, "unknown field "+path)
	}
	defaulting.Default(object, r.structural)
	if r.rules == nil {
		r.rules = cel.NewValidator(r.structural, true, celconfig.PerCallLimit)
	}
	errs := validation.ValidateCustomResource(nil, object, r.openAPI)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, r.structural, object)...)
	broken, _ := r.rules.Validate(context.Background(), nil, r.structural, object, nil, celconfig.RuntimeCELCostBudget)
	for _, err := range append(errs, broken...) {
		all = append(all, err.Error())
	}
	return all
}

// validate holds a custom object to its definition.
func validate(t *testing.T, name, kind string, text []byte) {
	t.Helper()
	all, err := resources()
	if err != nil {
		t.Fatal(err)
	}
	r, known := all[kind]
	if !known {
		t.Errorf("%s: no definition of %s", name, kind)
		return
	}
	object := map[string]any{}
	text, err = yaml.YAMLToJSONStrict(text)
	if err == nil {
		err = json.Unmarshal(text, &object)
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	for _, refusal := range r.refusals(object) {
		t.Errorf("%s: %s", name, refusal)
	}
}

func TestDefinitionsRefuseWhatAnAPIServerWould(t *testing.T) {
	const policy = `
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {name: altagate}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  extAuth: {grpc: {backendRefs: [{name: altagate, port: 9181}]}}
`
	for _, c := range []struct{ old, new, want string }{
		{"", "", ""},
		{"extAuth: {", "extAuth: {failopen: true, ", "unknown field spec.extAuth.failopen"},
		{"port: 9181", "port: 0", "spec.extAuth.grpc.backendRefs[0].port"},
		{"extAuth: {", "extAuth: {http: {backendRefs: [{name: altagate, port: 9180}]}, ", "only one of grpc or http can be specified"},
		{"kind: Gateway", "kind: Service", "targetRefs[*].kind"},
	} {
		all, err := resources()
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		text, err := yaml.YAMLToJSONStrict([]byte(strings.Replace(policy, c.old, c.new, 1)))
		if err != nil || json.Unmarshal(text, &object) != nil {
			t.Fatal(err)
		}
		refused := strings.Join(all["gateway.envoyproxy.io/v1alpha1 SecurityPolicy"].refusals(object), "\n")
		if !strings.Contains(refused, c.want) || (refused != "") != (c.want != "") {
			t.Errorf("with %q: %q, want %q", c.new, refused, c.want)
		}
	}
}
