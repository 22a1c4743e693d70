package frontend

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// envoy is Envoy's ext_authz filter with an http_service whose path_prefix is
// /auth/envoy. Envoy repeats the viewer's request line and Host, and takes
// exactly 200 for an allow. It shows the viewer a denial as it is, and takes a
// 5xx for altagate's own failure, which it may be told to let through.
func envoy() proxy {
	return proxy{name: "envoy", path: "/auth/envoy", read: readEnvoy, answer: answerEnvoy}
}

// readEnvoy reads the request line, and the headers that Envoy and the shipped
// config set.
func readEnvoy(r *http.Request, rest string) Context {
	return Context{
		Target:     rest,
		Method:     r.Method,
		Scheme:     only(r.Header, "X-Forwarded-Proto"),
		Host:       r.Host,
		Address:    only(r.Header, "X-Real-Ip"),
		UserAgents: r.Header["User-Agent"],
		Cookies:    r.Header["Cookie"],
		Wait:       milliseconds(only(r.Header, "X-Envoy-Expected-Rq-Timeout-Ms")),
	}
}

// milliseconds reads a time that Envoy states; 0 if it is none.
func milliseconds(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

// answerEnvoy tells Envoy the fields on an allow, for the upstream, and which of
// a viewer's own headers to remove. It tells nothing on a denial.
func answerEnvoy(h http.Header, d check.Decision) int {
	if to := Redirect(&d); to != "" {
		h.Set("Location", to)
		return http.StatusFound
	}
	if !d.Allow {
		if d.Status >= 400 && d.Status <= 499 {
			return d.Status
		}
		return http.StatusForbidden
	}
	var remove []string
	for _, f := range Fields(&d) {
		if f.Value != "" {
			h.Set(f.Header, f.Value)
			continue
		}
		remove = append(remove, f.Lower)
	}
	h.Set("X-Envoy-Auth-Headers-To-Remove", strings.Join(remove, ","))
	return http.StatusOK
}
