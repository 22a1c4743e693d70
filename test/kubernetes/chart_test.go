package kubernetes

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const chartDir = "../../deploy/helm/altagate"

// object is a manifest, and what is compared of it.
type object = map[string]any

// render gives the objects of the chart as "helm install NAME" makes them, and its notes.
func render(t *testing.T, name string, values object) ([]object, string, error) {
	t.Helper()
	chart, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := util.ToRenderValues(chart, values, common.ReleaseOptions{Name: name, Namespace: "tv", IsInstall: true}, common.DefaultCapabilities)
	if err != nil {
		return nil, "", err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return nil, "", err
	}
	var objects []object
	for _, document := range strings.Split(files["altagate/templates/altagate.yaml"], "\n---\n") {
		var o object
		if err := yaml.UnmarshalStrict([]byte(document), &o); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if o != nil {
			held(t, "chart "+name, []byte(document))
			objects = append(objects, o)
		}
	}
	return objects, files["altagate/templates/NOTES.txt"], nil
}

// build gives the objects that "kubectl apply -k" makes of a folder of deploy/kubernetes.
func build(t *testing.T, dir string) []object {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), manifests+dir)
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	var objects []object
	for _, r := range built.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		var o object
		if err := yaml.Unmarshal(text, &o); err != nil {
			t.Fatal(err)
		}
		held(t, dir+" as built", text)
		objects = append(objects, o)
	}
	return objects
}

func TestEveryFolderIsBuiltIntoWhatTheAPITakes(t *testing.T) {
	dirs, err := filepath.Glob(manifests + "*/kustomization.yaml")
	if err != nil || len(dirs) < 7 {
		t.Fatalf("%v %v", dirs, err)
	}
	for _, dir := range dirs {
		build(t, filepath.Base(filepath.Dir(dir)))
	}
}

// But for names, namespaces and labels of its own the chart makes what "kubectl apply -k"
// does.
func TestTheChartInstallsWhatIsInDeployKubernetes(t *testing.T) {
	for _, mode := range []string{"nginx", "envoy", "shared"} {
		got, _, err := render(t, "live", object{"mode": mode, "monitoring": object{"kind": "PodMonitor"}})
		if err != nil {
			t.Fatal(err)
		}
		want := append(build(t, mode), build(t, "monitoring")...)
		for _, o := range want {
			rename(o)
		}
		if diff := cmp.Diff(byName(want), byName(got)); diff != "" {
			t.Errorf("%s: - is deploy/kubernetes, + the chart\n%s", mode, diff)
		}
	}
}

// rename gives an object of deploy/kubernetes the names that the release "live" has.
func rename(o object) {
	names := map[string]any{
		"edge": "live", "altagate": "live",
		"altagate-config": "live-config", "edge-config": "live-proxy-config", "altagate-metrics": "live-metrics",
	}
	metadata := o["metadata"].(object)
	metadata["name"] = names[metadata["name"].(string)]
	if o["kind"] != "Deployment" {
		return
	}
	pod := o["spec"].(object)["template"].(object)["spec"].(object)
	for _, volume := range pod["volumes"].([]any) {
		if of, ok := volume.(object)["configMap"].(object); ok {
			of["name"] = names[of["name"].(string)]
		}
	}
}

// byName are objects by kind and name, without what Helm adds.
func byName(objects []object) map[string]object {
	all := map[string]object{}
	for _, o := range objects {
		strip(o)
		all[fmt.Sprint(o["kind"], " ", o["metadata"].(object)["name"])] = o
	}
	return all
}

// strip removes Helm's own labels and annotations, and empty maps that are left.
func strip(o object) {
	delete(o, "namespace")
	for key, value := range o {
		inner, ok := value.(object)
		if !ok {
			continue
		}
		if slices.Contains([]string{"labels", "matchLabels", "selector", "annotations"}, key) {
			for _, own := range []string{"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart", "checksum/proxy-config"} {
				delete(inner, own)
			}
			if key == "labels" {
				delete(inner, "app.kubernetes.io/part-of")
			}
		}
		strip(inner)
		if len(inner) == 0 && key != "emptyDir" {
			delete(o, key)
		}
	}
}

func TestTwoReleasesOfTheChartShareNothing(t *testing.T) {
	for _, mode := range []string{"nginx", "envoy", "shared"} {
		names := map[string]string{}
		for _, release := range []string{"one", "two"} {
			objects, notes, err := render(t, release, object{"mode": mode, "monitoring": object{"kind": "ServiceMonitor"}})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(notes, "deployment/"+release) {
				t.Errorf("the notes do not say what to look at:\n%s", notes)
			}
			for _, o := range objects {
				key := fmt.Sprint(o["kind"], " ", o["metadata"].(object)["name"])
				if other := names[key]; other != "" {
					t.Errorf("%s: %s and %s both have %s", mode, other, release, key)
				}
				names[key] = release
				for _, selector := range selectors(o) {
					if selector["app.kubernetes.io/instance"] != release {
						t.Errorf("%s: %s selects pods of others: %v", mode, key, selector)
					}
				}
			}
		}
	}
}

// selectors are the labels by which an object finds pods, or Services.
func selectors(o object) []object {
	var all []object
	spec, _ := o["spec"].(object)
	for _, key := range []string{"selector", "podSelector"} {
		found, ok := spec[key].(object)
		if !ok {
			continue
		}
		if inner, ok := found["matchLabels"].(object); ok {
			found = inner
		}
		all = append(all, found)
	}
	return all
}

func TestTheChartPutsValuesWhereTheyBelong(t *testing.T) {
	values := object{
		"mode": "envoy", "replicas": 5, "config": "routes: []\n", "edge": "admin: {}\n", "keysSecret": "mine", "edgeImage": "envoy:mine",
		"image":          object{"repository": "r.example.com/a", "tag": "sha256:" + strings.Repeat("a", 64)},
		"service":        object{"type": "LoadBalancer", "annotations": object{"a": "b"}},
		"resources":      object{"limits": object{"memory": "1Gi"}},
		"nodeSelector":   object{"disk": "fast"},
		"podAnnotations": object{"x": "y"},
		"networkPolicy":  object{"monitoring": "prom"},
		"monitoring":     object{"kind": "PodMonitor", "labels": object{"release": "prom"}},
	}
	objects, _, err := render(t, "live", values)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, o := range objects {
		printed, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(printed)
	}
	for _, want := range []string{
		"replicas: 5", "routes: []", "admin: {}", "secretName: mine", "image: envoy:mine", "image: r.example.com/a@sha256:aaaa", "type: LoadBalancer",
		"externalTrafficPolicy: Local", "memory: 1Gi", "disk: fast", "x: \"y\"", "kubernetes.io/metadata.name: prom\n", "release: prom", "name: live-proxy-config",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
	off, _, err := render(t, "live", object{"networkPolicy": object{"enabled": false}, "podDisruptionBudget": object{"enabled": false}})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range off {
		if o["kind"] == "NetworkPolicy" || o["kind"] == "PodDisruptionBudget" {
			t.Errorf("%s is there though it is off", o["kind"])
		}
	}
}

func TestTheChartRefusesValuesThatItDoesNotKnow(t *testing.T) {
	for want, values := range map[string]object{
		"replica":     {"replica": 2},
		"'/mode'":     {"mode": "haproxy"},
		"'/replicas'": {"replicas": 0},
		"limit":       {"resources": object{"limit": object{"memory": "1Gi"}}},
		"repo":        {"image": object{"repo": "r.example.com/a"}},
		"/image/tag":  {"image": object{"tag": "a b"}},
		"gateway":     {"networkPolicy": object{"gateway": "x"}},
		"/gateways":   {"networkPolicy": object{"gateways": "No Name"}},
		"'/config'":   {"config": object{"routes": nil}},
		"/kind":       {"monitoring": object{"kind": "Prometheus"}},
		"enable":      {"podDisruptionBudget": object{"enable": true}},
		"type":        {"service": object{"type": "ExternalName"}},
	} {
		if _, _, err := render(t, "live", values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want one that names %s", values, err, want)
		}
	}
}

// An empty value takes its default away. Without the schema "networkPolicy: {enabled: }"
// would leave the policy out, and "gateways:" a selector that may fit every namespace.
func TestAnEmptyValueOpensNothing(t *testing.T) {
	for _, path := range []string{
		"mode", "image", "image.repository", "image.tag", "keysSecret", "service", "service.type", "podAnnotations", "podDisruptionBudget",
		"podDisruptionBudget.enabled", "networkPolicy", "networkPolicy.enabled", "networkPolicy.gateways", "networkPolicy.monitoring",
		"monitoring", "monitoring.kind", "monitoring.labels",
	} {
		key, inner, nested := strings.Cut(path, ".")
		missing, values := key, object{key: nil}
		if nested {
			missing, values = inner, object{key: object{inner: nil}}
		}
		want := fmt.Sprintf("missing property '%s'", missing)
		if _, _, err := render(t, "live", values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

func TestTheChartIsCleanForHelmLint(t *testing.T) {
	for _, mode := range []string{"nginx", "envoy", "shared"} {
		for _, m := range lint.RunAll(chartDir, object{"mode": mode}, "tv").Messages {
			if m.Severity > support.InfoSev { // as "helm lint --strict" does
				t.Errorf("%s: %v", mode, m)
			}
		}
	}
}

// Every key of values.yaml is in the schema, and the other way round.
func TestTheValuesAndTheirSchemaAgree(t *testing.T) {
	chart, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct{ Properties map[string]any }
	if err := yaml.Unmarshal(chart.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	delete(schema.Properties, "global") // Helm's own
	known, given := slices.Sorted(maps.Keys(schema.Properties)), slices.Sorted(maps.Keys(chart.Values))
	if !slices.Equal(known, given) {
		t.Errorf("the schema has\n%v\nand values.yaml\n%v", known, given)
	}
}
