package nginxconf_test

import (
	"strings"
	"testing"
)

// TestACacheForChecksIsSoundOnlyIfItHoldsEachApart changes the shipped one that has it.
func TestACacheForChecksIsSoundOnlyIfItHoldsEachApart(t *testing.T) {
	const (
		valid = "        proxy_cache_valid any 0s;\n"
		stale = "        proxy_cache_use_stale off;\n"
		key   = `"altagate_cached/auth/nginx\n$altagate_cached_moment\n$request_method\n$scheme\n$host:$server_port\n$remote_addr\n$request_uri\n$http_user_agent\n$altagate_cached_ids"`
		ask   = "    auth_request /_altagate;\n"
	)
	sound := shipped(t, "cached.conf")
	vod := func(key string) []string {
		start := strings.Index(sound, "    location = /_altagate {\n")
		auth := strings.ReplaceAll(sound[start:strings.LastIndex(sound, "}")], "/_altagate", "/_vod")
		if key != "" {
			auth = strings.ReplaceAll(auth, `"altagate_cached/auth/nginx\n`, `"`+key+`\n`)
		}
		return []string{ask, ask + "location /vod/ { auth_request /_vod; proxy_pass http://altagate_cached_origin/vod/; }\n" +
			strings.ReplaceAll(auth, "http://altagate_cached/auth/nginx;", "http://altagate_cached/auth/nginx/vod;")}
	}
	for name, tt := range map[string]struct {
		swaps []string
		says  string
	}{
		"as shipped":                            {nil, ""},
		"no moment":                             {[]string{`\n$altagate_cached_moment`, ""}, ""},
		"spaces":                                {[]string{`\n`, " "}, ""},
		"braces":                                {[]string{`\n$scheme\n`, `\n${scheme}\n`}, ""},
		"the binary address":                    {[]string{`\n$remote_addr\n`, `\n$binary_remote_addr\n`}, ""},
		"the whole cookie, which has the ids":   {[]string{`\n$altagate_cached_ids"`, `\n$http_cookie"`}, ""},
		"nothing is kept by nginx's own wish":   {[]string{valid, "proxy_cache_valid 200 0;\n"}, ""},
		"no line about it, nor at outer levels": {[]string{valid, ""}, ""},
		"the default key":                       {[]string{"        proxy_cache_key " + key + ";\n", ""}, "under the default key"},
		"no address":                            {[]string{`\n$remote_addr`, ""}, "has no $remote_addr"},
		"no method":                             {[]string{`\n$request_method`, ""}, "has no $request_method"},
		"no scheme":                             {[]string{`\n$scheme`, ""}, "has no $scheme"},
		"no host":                               {[]string{`\n$host:`, `\n`}, "has no $host"},
		"no port":                               {[]string{`\n$host:$server_port\n`, `\n$host\n`}, "has no $server_port"},
		"no path":                               {[]string{`\n$request_uri`, ""}, "has no $request_uri"},
		"the path of the location itself":       {[]string{`\n$request_uri\n`, `\n$uri\n`}, "has no $request_uri"},
		"no User-Agent":                         {[]string{`\n$http_user_agent`, ""}, "has no $http_user_agent"},
		"no ids":                                {[]string{`\n$altagate_cached_ids`, ""}, "has no $altagate_cached_ids"},
		"a header of one's own":                 {[]string{"        proxy_set_header Host altagate;\n", "proxy_set_header Host altagate; proxy_set_header X-Real-IP-2 $server_addr;\n"}, "has no $server_addr"},
		"parts run together":                    {[]string{`$request_uri\n$http_user_agent`, `$request_uri$http_user_agent`}, "side by side"},
		"all of the viewer's headers":           {[]string{"        proxy_pass_request_headers off;\n        proxy_set_header Host altagate;", "proxy_set_header Host altagate;"}, "headers of the viewer's"},
		"all answers":                           {[]string{valid, "proxy_cache_valid any 1m;\n"}, "keeps what altagate did not say"},
		"all allows":                            {[]string{valid, "proxy_cache_valid 1s;\n"}, "keeps what altagate did not say"},
		"all answers, by an outer level":        {[]string{valid, "", ask, ask + "proxy_cache_valid 200 1m;\n"}, "keeps what altagate did not say"},
		"old answers":                           {[]string{stale, "proxy_cache_use_stale error updating;\n"}, "whose time is over"},
		"old answers, by an outer level":        {[]string{stale, "", ask, ask + "proxy_cache_use_stale error;\n"}, "whose time is over"},
		"two routes under one key":              {vod(""), "that of another location too"},
		"two routes, each with its own":         {vod("altagate_cached/auth/nginx/vod"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := looked(t, dumped(t, swapped(t, sound, tt.swaps...)))
			said := ""
			for _, f := range s.Findings {
				if f.ID == "nginx-auth-cached" {
					said += f.What + "\n"
				}
			}
			if want := min(1, len(tt.says)); strings.Count(said, "\n") != want || !strings.Contains(said, tt.says) {
				t.Errorf("found:\n%s", show(s))
			}
		})
	}
}

// TestTheCacheForChecksFitsTheOtherShippedFiles takes its lines over, as docs/nginx.md
// says.
func TestTheCacheForChecksFitsTheOtherShippedFiles(t *testing.T) {
	from := shipped(t, "cached.conf")
	lines := func(first, last string) string {
		_, rest, ok := strings.Cut(from, first)
		text, _, found := strings.Cut(rest, last)
		if !ok || !found {
			t.Fatalf("cached.conf has no lines from %q to %q", first, last)
		}
		return first + text + last
	}
	path := lines("proxy_cache_path", "use_temp_path=off;\n") + lines("map $msec", "off;\n}\n")
	cache := lines("        proxy_cache $altagate_cached_zone;\n", "proxy_buffering on;\n")
	for file, ids := range map[string]string{"altagate.conf": "$altagate_ids", "altagate-unix.conf": "$altagate_unix_ids", "hls-edge.conf": "$altagate_hls_ids"} {
		before, after, ok := strings.Cut(shipped(t, file), "    location = /_altagate {\n")
		if !ok {
			t.Fatalf("%s has no location for the check", file)
		}
		top := strings.ReplaceAll(path, "$altagate_cached_ids", ids)
		after = swapped(t, after, "        proxy_cache off;\n", strings.ReplaceAll(cache, "$altagate_cached_ids", ids))
		if s := looked(t, dumped(t, top+before+"    location = /_altagate {\n"+after)); len(s.Findings) > 0 {
			t.Errorf("%s:\n%s", file, show(s))
		}
		forgotten := strings.ReplaceAll(after, ids+`"`, `"`)
		if s := looked(t, dumped(t, top+before+"    location = /_altagate {\n"+forgotten)); !strings.Contains(show(s), ids) {
			t.Errorf("%s without the ids in the key: found\n%s", file, show(s))
		}
	}
}
