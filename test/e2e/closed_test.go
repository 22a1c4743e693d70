package e2e

import (
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// TestErrorPagesOfOuterLevelsOpenNothing puts into nginx what operators have at
// their servers for other reasons, and what would turn a denial, or altagate
// being away, into an allow if the check's location inherited it.
func TestErrorPagesOfOuterLevelsOpenNothing(t *testing.T) {
	const (
		server = "server_name tv.example.com localhost;"
		page   = "location = /page { auth_request off; return 200 'a page'; }\n"
	)
	recipes := map[string]string{
		"a maintenance page":                   "error_page 500 502 503 504 =200 /page;",
		"a page for 502 under its own status":  "error_page 502 504 = /page;",
		"a page for denials, taken everywhere": "error_page 403 = /page; proxy_intercept_errors on;",
		"a cache for everything":               "proxy_cache everything; proxy_cache_valid any 1m;",
		"all of them":                          "error_page 403 500 502 504 = /page; proxy_intercept_errors on; proxy_cache everything; proxy_cache_valid any 1m;",
	}
	for _, e := range append(edges[:3:3], edgeOf(t, "nginx/cached.conf")) {
		for name, recipe := range recipes {
			t.Run(e.file+" "+name, func(t *testing.T) {
				t.Parallel()
				backend := startFake(t, byToken, status(200))
				a := e.serve(t, backend.url())
				o := startOrigin(t)
				cache := "proxy_cache_path " + rig.TempDir(t) + " keys_zone=everything:1m;\n"
				v := viewer{edge: e.start(t, e, a, o.address,
					rig.Swap{server, server + recipe + page}, rig.Swap{"log_format ", cache + "log_format "})}
				if got := v.get(t, "/x?token=123"); got.status != 200 || len(o.take()) != 1 {
					t.Errorf("with the token: status %d, want 200", got.status)
				}
				v.get(t, "/x?token=1")
				if len(o.take()) > 0 {
					t.Error("without the token the origin was reached")
				}
				a.Stop(t)
				for _, target := range []string{"/x?token=1", "/y?token=123"} {
					v.get(t, target)
				}
				if len(o.take()) > 0 {
					t.Error("without altagate the origin was reached")
				}
			})
		}
	}
}
