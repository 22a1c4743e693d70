package kubernetes

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"google.golang.org/protobuf/encoding/protojson"
	meshv1alpha1 "istio.io/api/mesh/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// patience is how long a gateway has to wait for a check at least: the 5 s that
// altagate takes where it is told of no deadline, and those of the shipped Envoy configs.
const patience = 5 * time.Second

// load reads a file of deploy/kubernetes, and its documents of kind into objects.
func load[T any](t *testing.T, file, kind string) []T {
	t.Helper()
	text, err := os.ReadFile(manifests + file)
	if err != nil {
		t.Fatal(err)
	}
	var all []T
	for _, document := range strings.Split(string(text), "\n---\n") {
		if !strings.Contains(document, "\nkind: "+kind+"\n") {
			continue
		}
		var object T
		if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, object)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no %s", file, kind)
	}
	return all
}

// shipped are the headers that envoy/http.yaml removes from a viewer's request before
// anything reads it.
func shipped(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../envoy/http.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "- remove: "); ok {
			names = append(names, name)
		}
	}
	if len(names) < 10 {
		t.Fatalf("only %d headers are removed", len(names))
	}
	return names
}

func TestEnvoyGatewayAsksAboutEveryRequestAndFailsClosed(t *testing.T) {
	for _, p := range load[egv1a1.SecurityPolicy](t, "envoy-gateway/policies.yaml", "SecurityPolicy") {
		if len(p.Spec.TargetRefs) != 1 || p.Spec.TargetRefs[0].Kind != "Gateway" || p.Spec.TargetRefs[0].SectionName != nil {
			t.Errorf("the policy is not that of the whole Gateway: %+v", p.Spec.TargetRefs)
		}
		auth := p.Spec.ExtAuth
		if auth == nil || auth.GRPC == nil || auth.FailOpen == nil || *auth.FailOpen {
			t.Fatal("no check over gRPC that fails closed")
		}
		if auth.StatusOnError == nil || *auth.StatusOnError != 503 {
			t.Error("altagate being away looks like a denial")
		}
		if auth.Timeout == nil || duration(t, string(*auth.Timeout)) < patience {
			t.Errorf("it waits %v for a check", auth.Timeout)
		}
		if !slices.Contains(auth.HeadersToExtAuth, "user-agent") || !slices.Contains(auth.HeadersToExtAuth, "cookie") {
			t.Errorf("altagate is told %v", auth.HeadersToExtAuth)
		}
		if len(auth.GRPC.BackendRefs) != 1 || *auth.GRPC.BackendRefs[0].Port != 9181 {
			t.Errorf("it asks %+v", auth.GRPC.BackendRefs)
		}
		if cb := auth.GRPC.BackendSettings.CircuitBreaker; *cb.MaxParallelRequests <= 1024 || *cb.MaxPendingRequests <= 1024 {
			t.Error("a slow backend soon makes Envoy refuse checks")
		}
	}
}

func TestEnvoyGatewayTellsOnePathAndNoWordOfTheViewers(t *testing.T) {
	for _, p := range load[egv1a1.ClientTrafficPolicy](t, "envoy-gateway/policies.yaml", "ClientTrafficPolicy") {
		if len(p.Spec.TargetRefs) != 1 || p.Spec.TargetRefs[0].Kind != "Gateway" || p.Spec.TargetRefs[0].SectionName != nil {
			t.Errorf("the policy is not that of the whole Gateway: %+v", p.Spec.TargetRefs)
		}
		if p.Spec.Path == nil || p.Spec.Path.EscapedSlashesAction == nil || *p.Spec.Path.EscapedSlashesAction != egv1a1.RejectRequestAction ||
			p.Spec.Path.DisableMergeSlashes == nil || *p.Spec.Path.DisableMergeSlashes {
			t.Error("paths stay as viewers write them")
		}
		if p.Spec.ClientIPDetection != nil {
			t.Error("a viewer's own X-Forwarded-For is believed")
		}
		headers := p.Spec.Headers
		if *headers.WithUnderscoresAction != egv1a1.WithUnderscoresActionDropHeader || len(headers.EarlyRequestHeaders.RemoveOnMatch) != 1 {
			t.Error("a header of another spelling stays")
		}
		if want := shipped(t); !slices.Equal(headers.EarlyRequestHeaders.Remove, want) {
			t.Errorf("removes\n%v\nand envoy/http.yaml\n%v", headers.EarlyRequestHeaders.Remove, want)
		}
	}
}

// The query holds the viewer's token. Envoy Gateway's default format logs it.
func TestEnvoyGatewayLogsNoToken(t *testing.T) {
	for _, p := range load[egv1a1.EnvoyProxy](t, "envoy-gateway/gateway.yaml", "EnvoyProxy") {
		settings := p.Spec.Telemetry.AccessLog.Settings
		if len(settings) != 1 || settings[0].Format == nil || settings[0].Format.Text == nil {
			t.Fatalf("the default format: %+v", settings)
		}
		text := *settings[0].Format.Text
		if !strings.Contains(text, "%PATH(NQ)%") || strings.Contains(text, "REQ(:PATH)") || strings.Contains(text, "ORIGINAL-PATH") {
			t.Errorf("logs the query: %s", text)
		}
		if service := p.Spec.Provider.Kubernetes.EnvoyService; *service.ExternalTrafficPolicy != egv1a1.ServiceExternalTrafficPolicyLocal {
			t.Error("the viewer's address is that of a node")
		}
	}
}

func TestIstioAsksAboutEveryRequestAndFailsClosed(t *testing.T) {
	text, err := os.ReadFile(manifests + "istio/mesh.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(text, &values); err != nil || len(values) != 1 {
		t.Fatalf("%v %v", values, err)
	}
	inner, err := yaml.Marshal(values["meshConfig"])
	if err != nil {
		t.Fatal(err)
	}
	if inner, err = yaml.YAMLToJSONStrict(inner); err != nil {
		t.Fatal(err)
	}
	var mesh meshv1alpha1.MeshConfig
	if err := protojson.Unmarshal(inner, &mesh); err != nil { // refuses unknown keys
		t.Fatal(err)
	}
	if mesh.GetPathNormalization().GetNormalization() != meshv1alpha1.MeshConfig_ProxyPathNormalization_MERGE_SLASHES {
		t.Error("paths stay as viewers write them")
	}
	if len(mesh.ExtensionProviders) != 1 || mesh.ExtensionProviders[0].Name != "altagate" {
		t.Fatalf("providers: %v", mesh.ExtensionProviders)
	}
	p := mesh.ExtensionProviders[0].GetEnvoyExtAuthzHttp()
	if p.FailOpen || p.StatusOnError != "503" || p.Timeout.AsDuration() < patience || p.PathPrefix != "/auth/envoy" || p.Port != 9180 {
		t.Errorf("the provider: %v", p)
	}
	if p.IncludeAdditionalHeadersInCheck["x-real-ip"] != "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" {
		t.Error("the viewer's address is the viewer's word")
	}
	if !slices.Equal(p.IncludeRequestHeadersInCheck, []string{"user-agent", "cookie", "x-forwarded-proto"}) {
		t.Errorf("altagate is told %v", p.IncludeRequestHeadersInCheck)
	}
	if len(p.HeadersToDownstreamOnDeny) == 0 || len(p.HeadersToDownstreamOnAllow) != 0 {
		t.Error("a viewer sees altagate's headers")
	}
}

func TestIstiosPoliciesCoverTheWholeGateway(t *testing.T) {
	type policy struct {
		APIVersion, Kind string
		Metadata         map[string]string
		Spec             struct {
			TargetRefs    []map[string]string
			Action        string
			Provider      map[string]string
			Rules         []map[string]any
			ConfigPatches []any
		}
	}
	target := map[string]string{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}
	for _, p := range append(load[policy](t, "istio/policies.yaml", "AuthorizationPolicy"), load[policy](t, "istio/policies.yaml", "EnvoyFilter")...) {
		if len(p.Spec.TargetRefs) != 1 || !maps.Equal(p.Spec.TargetRefs[0], target) {
			t.Errorf("%s: targets %v", p.Kind, p.Spec.TargetRefs)
		}
		if p.Kind != "AuthorizationPolicy" {
			continue
		}
		if p.Spec.Action != "CUSTOM" || p.Spec.Provider["name"] != "altagate" || len(p.Spec.Rules) != 1 || len(p.Spec.Rules[0]) != 0 {
			t.Errorf("not every request is checked: %+v", p.Spec)
		}
	}
}

// The filter's patch is what envoy/http.yaml has, to the letter, so that its tests on a
// real Envoy hold for it too.
func TestIstiosPatchIsThatOfTheShippedEnvoyConfig(t *testing.T) {
	var names []string
	text, err := os.ReadFile(manifests + "istio/policies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "- remove: "); ok {
			names = append(names, name)
		}
	}
	if want := shipped(t); !slices.Equal(names, want) {
		t.Errorf("removes\n%v\nand envoy/http.yaml\n%v", names, want)
	}
	for _, want := range []string{
		"path_with_escaped_slashes_action: REJECT_REQUEST",
		"common_http_protocol_options: {headers_with_underscores_action: DROP_HEADER}",
		`- remove_on_match: {key_matcher: {contains: "."}}`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestEveryRuleOfTheGatewayAPIRouteIsChecked(t *testing.T) {
	for _, route := range load[gwapiv1.HTTPRoute](t, "gateway-api/gateway.yaml", "HTTPRoute") {
		for _, rule := range route.Spec.Rules {
			if len(rule.Filters) == 0 || rule.Filters[0].Type != gwapiv1.HTTPRouteFilterExternalAuth ||
				rule.Filters[0].ExternalAuth.ExternalAuthProtocol != gwapiv1.HTTPRouteExternalAuthGRPCProtocol || *rule.Filters[0].ExternalAuth.BackendRef.Port != 9181 {
				t.Errorf("a rule without a check: %+v", rule)
			}
		}
	}
}

// A host that nobody named must not reach the origin, nor be told to the backend.
func TestEveryGatewayNamesItsHosts(t *testing.T) {
	for _, dir := range []string{"envoy-gateway", "istio", "gateway-api"} {
		for _, g := range load[gwapiv1.Gateway](t, dir+"/gateway.yaml", "Gateway") {
			for _, l := range g.Spec.Listeners {
				if l.Hostname == nil || strings.HasPrefix(string(*l.Hostname), "*") || *l.AllowedRoutes.Namespaces.From != gwapiv1.NamespacesFromSame {
					t.Errorf("%s: listener %s takes any host, or routes of others", dir, l.Name)
				}
			}
		}
		for _, r := range load[gwapiv1.HTTPRoute](t, dir+"/gateway.yaml", "HTTPRoute") {
			if len(r.Spec.Hostnames) == 0 {
				t.Errorf("%s: the route takes any host", dir)
			}
		}
	}
}

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The alert for an altagate that is away asks for a job by name; the operator makes that
// name of the namespace and the monitor unless jobLabel says a label.
func TestTheMonitorsGiveTheJobThatTheAlertAsksFor(t *testing.T) {
	rules, err := os.ReadFile("../../deploy/prometheus/rules.yaml")
	if err != nil || !strings.Contains(string(rules), `expr: up{job="altagate"} == 0`) {
		t.Fatalf("the alert asks for another job: %v", err)
	}
	pods := load[monitoringv1.PodMonitor](t, "monitoring/podmonitor.yaml", "PodMonitor")[0]
	for _, dir := range []string{"nginx", "envoy", "shared"} {
		labels := load[appsv1.Deployment](t, dir+"/deployment.yaml", "Deployment")[0].Spec.Template.Labels
		if job := labels[pods.Spec.JobLabel]; job != "altagate" {
			t.Errorf("the job of the pods of %s is %q", dir, job)
		}
	}
	services := load[monitoringv1.ServiceMonitor](t, "monitoring/servicemonitor.yaml", "ServiceMonitor")[0]
	if job := load[corev1.Service](t, "monitoring/servicemonitor.yaml", "Service")[0].Labels[services.Spec.JobLabel]; job != "altagate" {
		t.Errorf("the job of the Service is %q", job)
	}
}

// TestTheAlertsAreARuleOfTheOperator runs the command of docs/operate.md as far as kubectl.
func TestTheAlertsAreARuleOfTheOperator(t *testing.T) {
	page, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n{ echo 'apiVersion: monitoring.coreos.com/v1'")
	command, _, found := strings.Cut(rest, "| kubectl apply -f -\n```\n")
	if !found {
		t.Fatal("docs/operate.md has no such command")
	}
	shell := exec.Command("sh", "-c", "{ echo 'apiVersion: monitoring.coreos.com/v1'"+command)
	shell.Dir = "../.."
	text, err := shell.Output()
	if err != nil {
		t.Fatal(err)
	}
	var rule monitoringv1.PrometheusRule
	if err := yaml.UnmarshalStrict(text, &rule); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if rule.Kind != "PrometheusRule" || rule.Name == "" || len(rule.Spec.Groups) != 1 || len(rule.Spec.Groups[0].Rules) < 10 {
		t.Errorf("it has not all alerts:\n%s", text)
	}
}
