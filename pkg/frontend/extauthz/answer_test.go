package extauthz_test

import (
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/altagate/altagate/pkg/check"
)

func TestEnvoyIsToldTheDecision(t *testing.T) {
	told := check.Outcome{Verdict: check.Allowed, Session: "asked under", User: "42", SessionName: "film"}
	tests := []struct {
		name     string
		decision check.Decision
		want     string
	}{
		{
			"an allow", check.Decision{Allow: true, Reason: check.Backend, Route: "live", Session: "abc", Outcome: told}, `
			status {}
			ok_response {
			  headers { header { key: "x-altagate-decision" value: "allow" } append {} }
			  headers { header { key: "x-altagate-reason" value: "backend" } append {} }
			  headers { header { key: "x-session-id" value: "abc" } append {} }
			  headers { header { key: "x-user-id" value: "42" } append {} }
			  headers { header { key: "x-session-name" value: "film" } append {} }
			  headers_to_remove: "x-altagate-id"
			}
			dynamic_metadata { fields { key: "altagate" value { struct_value {
			  fields { key: "decision" value { string_value: "allow" } }
			  fields { key: "reason" value { string_value: "backend" } }
			  fields { key: "route" value { string_value: "live" } }
			  fields { key: "session_id" value { string_value: "abc" } }
			  fields { key: "session_name" value { string_value: "film" } }
			  fields { key: "user_id" value { string_value: "42" } }
			} } } }`,
		},
		{
			"an allow with an id to hand on, which no log gets",
			check.Decision{Allow: true, Reason: check.Session, Session: "abc", ID: "v1.a-_.b"}, `
			status {}
			ok_response {
			  headers { header { key: "x-altagate-decision" value: "allow" } append {} }
			  headers { header { key: "x-altagate-reason" value: "session" } append {} }
			  headers { header { key: "x-session-id" value: "abc" } append {} }
			  headers { header { key: "x-altagate-id" value: "v1.a-_.b" } append {} }
			  headers_to_remove: "x-user-id"
			  headers_to_remove: "x-session-name"
			}
			dynamic_metadata { fields { key: "altagate" value { struct_value {
			  fields { key: "decision" value { string_value: "allow" } }
			  fields { key: "reason" value { string_value: "session" } }
			  fields { key: "session_id" value { string_value: "abc" } }
			} } } }`,
		},
		{
			"an allow by default", check.Decision{Allow: true, Reason: check.Default, Outcome: check.Outcome{Session: "asked under"}}, `
			status {}
			ok_response {
			  headers { header { key: "x-altagate-decision" value: "allow" } append {} }
			  headers { header { key: "x-altagate-reason" value: "default" } append {} }
			  headers_to_remove: "x-session-id"
			  headers_to_remove: "x-user-id"
			  headers_to_remove: "x-session-name"
			  headers_to_remove: "x-altagate-id"
			}
			dynamic_metadata { fields { key: "altagate" value { struct_value {
			  fields { key: "decision" value { string_value: "allow" } }
			  fields { key: "reason" value { string_value: "default" } }
			} } } }`,
		},
		{
			"a denial", check.Decision{Reason: check.Backend, Route: "live", Status: 404, Session: "abc", ID: "v1.a.b"}, `
			status { code: 7 }
			denied_response { status { code: NotFound } }
			dynamic_metadata { fields { key: "altagate" value { struct_value {
			  fields { key: "decision" value { string_value: "deny" } }
			  fields { key: "reason" value { string_value: "backend" } }
			  fields { key: "route" value { string_value: "live" } }
			} } } }`,
		},
		{
			"a denial that sends the viewer elsewhere",
			check.Decision{Reason: check.Backend, Status: 404, Redirect: "https://promo.example.com/index.m3u8"}, `
			status { code: 7 }
			denied_response {
			  status { code: Found }
			  headers { header { key: "location" value: "https://promo.example.com/index.m3u8" } }
			}
			dynamic_metadata { fields { key: "altagate" value { struct_value {
			  fields { key: "decision" value { string_value: "deny" } }
			  fields { key: "reason" value { string_value: "backend" } }
			} } } }`,
		},
		{
			"an allow, which sends nobody elsewhere", check.Decision{Allow: true, Reason: check.Session, Redirect: "https://promo.example.com/"}, `
			status {}
			ok_response {
			  headers { header { key: "x-altagate-decision" value: "allow" } append {} }
			  headers { header { key: "x-altagate-reason" value: "session" } append {} }
			  headers_to_remove: "x-session-id"
			  headers_to_remove: "x-user-id"
			  headers_to_remove: "x-session-name"
			  headers_to_remove: "x-altagate-id"
			}
			dynamic_metadata { fields { key: "altagate" value { struct_value {
			  fields { key: "decision" value { string_value: "allow" } }
			  fields { key: "reason" value { string_value: "session" } }
			} } } }`,
		},
		{
			"being late", check.Decision{Reason: check.Late, Status: 503}, `
			status { code: 7 }
			denied_response { status { code: ServiceUnavailable } }
			dynamic_metadata { fields { key: "altagate" value { struct_value {
			  fields { key: "decision" value { string_value: "deny" } }
			  fields { key: "reason" value { string_value: "late" } }
			} } } }`,
		},
		{
			"values that no message carries", check.Decision{Reason: "\xff", Route: "a\xff", Status: 200, Outcome: check.Outcome{User: "\xff"}}, `
			status { code: 7 }
			denied_response { status { code: Forbidden } }
			dynamic_metadata { fields { key: "altagate" value { struct_value {
			  fields { key: "decision" value { string_value: "deny" } }
			  fields { key: "route" value { string_value: "a?" } }
			} } } }`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := &authv3.CheckResponse{}
			if err := prototext.Unmarshal([]byte(tt.want), want); err != nil {
				t.Fatal(err)
			}
			d := &desk{decision: tt.decision}
			_, conn := start(t, d.config())
			got := ask(t.Context(), t, conn, envoyCheck())
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

// To Envoy a message without a status, and a denial with status 0, are allows.
func TestNoDenialReachesEnvoyAsAnAllow(t *testing.T) {
	d := &desk{}
	_, conn := start(t, d.config())
	reasons := []check.Reason{"", check.Backend, check.Default, check.Malformed, check.NoRoute,
		check.BadCheck, check.Overload, check.Late, check.Unanswered, check.Limit}
	for _, reason := range reasons {
		for _, status := range []int{-1, 0, 1, 200, 204, 302, 399, 400, 403, 499, 503, 599, 600, 1 << 40} {
			d.decision = check.Decision{Reason: reason, Status: status}
			out := ask(t.Context(), t, conn, envoyCheck())
			mustDeny(t, out)
			if t.Failed() {
				t.Fatalf("reason %q, status %d", reason, status)
			}
		}
	}
}

// mustDeny fails unless Envoy takes out for a denial that tells the viewer
// nothing but a status.
func mustDeny(t testing.TB, out *authv3.CheckResponse) {
	t.Helper()
	denied := out.GetDeniedResponse()
	status := denied.GetStatus().GetCode()
	if out.GetStatus() == nil || codes.Code(out.GetStatus().GetCode()) != codes.PermissionDenied ||
		status < 400 || status > 599 {
		t.Errorf("not a denial: %v", out)
	}
	if len(denied.GetHeaders()) != 0 || denied.GetBody() != "" || out.GetOkResponse() != nil {
		t.Errorf("tells the viewer something: %v", out)
	}
}
