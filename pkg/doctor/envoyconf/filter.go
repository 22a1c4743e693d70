package envoyconf

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const theAddress = "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"

// filter looks at one filter that asks altagate.
func (c *conf) filter(m *manager, f filter) {
	c.isOn(m, f)
	if f.get("failure_mode_allow").isTrue() {
		c.out.Add(failureModeAllow, c.where(f.get("failure_mode_allow")), "failure_mode_allow: true", "failure_mode_allow: false", "status_on_error: {code: ServiceUnavailable}")
	}
	if http := f.get("http_service"); http.there() {
		c.overHTTP(m, f, http)
	} else {
		c.overGRPC(m, f)
	}
	c.limit(f)
}

// isOn finds what makes a filter do nothing.
func (c *conf) isOn(m *manager, f filter) {
	for _, off := range []struct {
		at   node
		what string
	}{
		{f.entry.get("disabled"), "disabled: true"},
		{f.get("shadow_mode"), "shadow_mode: true"},
	} {
		if off.at.isTrue() {
			c.out.Add(checkOff, c.where(off.at), off.what, "take it out")
		}
	}
	if enabled := f.get("filter_enabled"); enabled.there() && !f.get("deny_at_disable", "default_value").isTrue() {
		part := enabled.get("default_value")
		if whole := map[string]int{"": 100, "HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}[part.get("denominator").text()]; part.get("numerator").number() < whole {
			c.out.Add(checkOff, c.where(enabled), fmt.Sprintf("filter_enabled checks only %d of %d requests", part.get("numerator").number(), whole), "take it out")
		}
	}
	if metadata := f.get("filter_enabled_metadata"); metadata.there() {
		c.out.Add(checkOff, c.where(metadata), "filter_enabled_metadata checks some requests only", "take it out")
	}
	for _, entry := range m.get("http_filters").items() {
		if entry.yaml == f.entry.yaml {
			return
		}
		switch config := entry.get("typed_config"); {
		case config.isType(".cache.v3.CacheConfig"), config.isType(".cache_v2.v3.CacheV2Config"):
			c.out.Add(cacheFirst, c.where(entry), entry.get("name").text()+" stands before the check", "put it behind "+f.name)
		case config.isType(".router.v3.Router"):
			c.out.Add(checkOff, c.where(f.entry), f.name+" stands behind the router", "put it before the router")
		}
	}
}

// overGRPC looks at a check over gRPC.
func (c *conf) overGRPC(m *manager, f filter) {
	service := f.get("grpc_service")
	write := fmt.Sprintf("initial_metadata: [{key: x-real-ip, value: %q}]", theAddress)
	if value := entry(service.get("initial_metadata"), "x-real-ip"); value.there() {
		c.address(m, value, write)
	} else if hops := m.get("xff_num_trusted_hops"); hops.number() > 0 {
		c.out.Add(addressHidden, c.where(service), "there is no initial_metadata x-real-ip, though other proxies stand in front (xff_num_trusted_hops)", write)
	} else if detection := m.get("original_ip_detection_extensions"); detection.there() {
		c.out.Add(addressHidden, c.where(service), "there is no initial_metadata x-real-ip, though the address comes from original_ip_detection_extensions", write)
	}
	c.times(service, service.get("timeout"), service.get("envoy_grpc", "retry_policy"))
	if beside := service.get("retry_policy"); beside.there() {
		c.out.Add(retry, c.where(beside), "a retry_policy beside envoy_grpc does nothing", "put it into envoy_grpc")
	}
	if !m.get("scheme_header_transformation").there() {
		c.out.Add(scheme, c.where(m.node), "there is no scheme_header_transformation", "scheme_header_transformation: {scheme_to_overwrite: http}   # https on a listener with TLS")
	}
}

// overHTTP looks at a check over HTTP.
func (c *conf) overHTTP(m *manager, f filter, http node) {
	if prefix := http.get("path_prefix"); prefix.text() != "/auth/envoy" {
		at := prefix
		if !at.there() {
			at = http
		}
		c.out.Add(pathPrefix, c.where(at), fmt.Sprintf("path_prefix is %q", prefix.text()), "path_prefix: /auth/envoy")
	}
	patterns := slices.Concat(f.get("allowed_headers", "patterns").items(), http.get("authorization_request", "allowed_headers", "patterns").items())
	write := fmt.Sprintf("authorization_request: {headers_to_add: [{key: x-real-ip, value: %q}]}", theAddress)
	if value := entry(http.get("authorization_request", "headers_to_add"), "x-real-ip"); value.there() {
		c.address(m, value, write)
	} else if lists(patterns, "x-real-ip") {
		c.out.Add(addressForged, c.where(http), "allowed_headers lets a viewer's own X-Real-IP through, and headers_to_add sets none", write)
	} else {
		c.out.Add(addressMissing, c.where(http), "there is no headers_to_add x-real-ip", write)
	}
	for _, need := range []struct{ name, what string }{
		{"user-agent", "altagate tells viewers of one address apart by it"},
		{"x-forwarded-proto", "without it every check is a bad-check"},
	} {
		if !lists(patterns, need.name) {
			c.out.Add(allowedHeaders, c.where(f.node), fmt.Sprintf("allowed_headers does not list %s: %s", need.name, need.what), "- exact: "+need.name)
		}
	}
	c.shown(http.get("authorization_response"), http)
	c.times(http, http.get("server_uri", "timeout"), http.get("retry_policy"))
}

// shown finds what viewers see of an answer to a check.
func (c *conf) shown(response, http node) {
	const write = "authorization_response: {allowed_client_headers: {patterns: [{exact: www-authenticate}]}}"
	if !response.get("allowed_client_headers", "patterns").there() {
		c.out.Add(clientHeaders, c.where(http), "there is no allowed_client_headers, so that every header of a denial goes to the viewer", write)
	}
	for _, list := range []string{"allowed_client_headers", "allowed_client_headers_on_success"} {
		patterns := response.get(list, "patterns")
		for _, name := range own {
			if lists(patterns.items(), name) {
				c.out.Add(clientHeaders, c.where(patterns), list+" shows viewers "+name, write)
				break
			}
		}
	}
}

// entry is the value of a key in a list of keys with values.
func entry(list node, key string) node {
	for _, h := range list.items() {
		if h.get("header").there() {
			h = h.get("header")
		}
		if strings.EqualFold(h.get("key").text(), key) {
			return h.get("value")
		}
	}
	return node{}
}

// address looks at what altagate is told to be the viewer's address.
func (c *conf) address(m *manager, value node, write string) {
	text := value.text()
	hops := m.get("xff_num_trusted_hops").number()
	switch {
	case strings.Contains(text, "%REQ("):
		c.out.Add(addressForged, c.where(value), "x-real-ip is "+text+", which the viewer writes", write)
	case text == theAddress && !m.get("use_remote_address").isTrue() && !m.get("original_ip_detection_extensions").there():
		c.out.Add(addressForged, c.where(value), "without use_remote_address: true Envoy takes the address from the viewer's own X-Forwarded-For",
			"use_remote_address: true", "xff_num_trusted_hops: 1   # for each balancer in front that you trust")
	case text == theAddress:
	case text == "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%" && hops > 0:
		c.out.Add(addressHidden, c.where(value), "x-real-ip is "+text+", the balancer's", write)
	case text == "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%":
	default:
		c.out.Add(addressMissing, c.where(value), "x-real-ip is "+text, write)
	}
}

// defaultTimeout is Envoy's, in seconds.
const defaultTimeout = 0.2

// times looks at how long a check may take.
func (c *conf) times(service, limit, retries node) {
	seconds, ok := limit.seconds()
	at, what := limit, "timeout: "+limit.text()
	if !ok {
		seconds, at, what = defaultTimeout, service, "there is no timeout, so it is 200 ms"
	}
	if seconds == 0 {
		return // none
	}
	if seconds <= c.facts.Timeout {
		c.out.Add(timeout, c.where(at), fmt.Sprintf("%s, and the backend may take %gs", what, c.facts.Timeout), fmt.Sprintf("timeout: %gs", c.facts.Timeout+3))
	}
	if try := retries.get("retry_back_off", "max_interval"); try.there() {
		if s, ok := try.seconds(); ok && s < seconds {
			c.out.Add(retry, c.where(try), fmt.Sprintf("max_interval: %s is each try's own timeout too, and shorter than the check's", try.text()), fmt.Sprintf("max_interval: %gs", seconds+1))
		}
	}
}

// lists says whether one of the patterns lets a header through.
func lists(patterns []node, name string) bool {
	return slices.ContainsFunc(patterns, func(p node) bool {
		switch {
		case p.get("exact").there():
			return strings.EqualFold(p.get("exact").text(), name)
		case p.get("prefix").there():
			return strings.HasPrefix(name, strings.ToLower(p.get("prefix").text()))
		case p.get("suffix").there():
			return strings.HasSuffix(name, strings.ToLower(p.get("suffix").text()))
		case p.get("contains").there():
			return strings.Contains(name, strings.ToLower(p.get("contains").text()))
		default:
			pattern, err := regexp.Compile("^(?:" + p.get("safe_regex", "regex").text() + ")$")
			return err == nil && p.get("safe_regex").there() && pattern.MatchString(name)
		}
	})
}

// limit looks at how many checks Envoy asks at once.
func (c *conf) limit(f filter) {
	cluster, ok := c.clusters[f.cluster]
	if !ok {
		return
	}
	for _, threshold := range cluster.get("circuit_breakers", "thresholds").items() {
		if threshold.get("max_requests").there() {
			return
		}
	}
	c.out.Add(checkLimit, c.where(cluster), "the cluster "+f.cluster+" has Envoy's own limit of 1024 requests",
		"circuit_breakers: {thresholds: [{max_connections: 16384, max_pending_requests: 16384, max_requests: 16384, max_retries: 1024}]}")
}
