// Package kubernetes holds the manifests of deploy/kubernetes to the API: those of
// Kubernetes and of the Prometheus operator are decoded strictly into their types, so
// that a key that is misspelled or in the wrong place fails, those of Gateway API, Envoy
// Gateway and Istio validated by the definitions that these projects publish.
// It is a module of its own, so that nothing of it is in altagate's.
package kubernetes

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const manifests = "../../deploy/kubernetes/"

// types gives an empty object for each kind that has a Go type of its own here.
func types() map[string]func() any {
	return map[string]func() any{
		"apps/v1 Deployment":                      func() any { return new(appsv1.Deployment) },
		"v1 Service":                              func() any { return new(corev1.Service) },
		"v1 ConfigMap":                            func() any { return new(corev1.ConfigMap) },
		"policy/v1 PodDisruptionBudget":           func() any { return new(policyv1.PodDisruptionBudget) },
		"networking.k8s.io/v1 NetworkPolicy":      func() any { return new(networkingv1.NetworkPolicy) },
		"networking.k8s.io/v1 Ingress":            func() any { return new(networkingv1.Ingress) },
		"monitoring.coreos.com/v1 PodMonitor":     func() any { return new(monitoringv1.PodMonitor) },
		"monitoring.coreos.com/v1 ServiceMonitor": func() any { return new(monitoringv1.ServiceMonitor) },
	}
}

// documents are all manifests, by file and number.
func documents(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(manifests, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !bytes.Contains(text, []byte("\napiVersion: ")) && !bytes.HasPrefix(text, []byte("apiVersion: ")) {
			return nil // a config that a ConfigMap is made of
		}
		for i, document := range strings.Split(string(text), "\n---\n") {
			all[path+"#"+string(rune('1'+i))] = []byte(document)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d manifests", len(all))
	}
	return all
}

func TestEveryManifestIsWhatTheAPITakes(t *testing.T) {
	for name, text := range documents(t) {
		held(t, name, text)
	}
}

// held holds one manifest to its type or its definition, and its pods to what
// docs/kubernetes.md says of them.
func held(t *testing.T, name string, text []byte) {
	t.Helper()
	var meta struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal(text, &meta); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	kind := meta.APIVersion + " " + meta.Kind
	if strings.HasPrefix(kind, "kustomize.config.k8s.io/") {
		return // kustomize refuses what it does not know
	}
	empty, typed := types()[kind]
	if !typed {
		validate(t, name, kind, text)
		return
	}
	object := empty()
	if err := yaml.UnmarshalStrict(text, object); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if d, ok := object.(*appsv1.Deployment); ok {
		hardened(t, name, &d.Spec.Template.Spec)
	}
}

// hardened holds every container to the restricted Pod Security Standard, and the
// sidecar to what docs/kubernetes.md says of it.
func hardened(t *testing.T, name string, pod *corev1.PodSpec) {
	t.Helper()
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Errorf("%s: the pod gets a token of the API", name)
	}
	if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil {
		t.Errorf("%s: the pod may run as root or without seccomp", name)
	}
	altagate := false
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		s := c.SecurityContext
		if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil || len(s.Capabilities.Drop) != 1 ||
			s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			t.Errorf("%s: %s is not confined", name, c.Name)
		}
		for _, m := range c.VolumeMounts {
			if m.SubPath != "" {
				t.Errorf("%s: %s mounts %s by subPath, which never changes", name, c.Name, m.Name)
			}
		}
		if c.Name != "altagate" {
			continue
		}
		altagate = true
		if c.LivenessProbe == nil || c.LivenessProbe.HTTPGet.Path != "/healthz" || c.StartupProbe == nil || c.ReadinessProbe == nil || c.ReadinessProbe.HTTPGet.Path != "/readyz" {
			t.Errorf("%s: the probes of altagate are others", name)
		}
	}
	for _, c := range pod.InitContainers {
		if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			t.Errorf("%s: %s is no sidecar", name, c.Name)
		}
	}
	if !altagate {
		t.Errorf("%s: no altagate", name)
	}
}
