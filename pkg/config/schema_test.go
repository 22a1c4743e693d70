package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/altagate/altagate/pkg/preset"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON is the file as an editor's schema checker sees it.
func asJSON(t *testing.T, data []byte) any {
	t.Helper()
	var decoded any
	if err := yaml.Unmarshal(data, &decoded); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(decoded)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// everyKeyOf is the example with its optional keys put in.
func everyKeyOf(data []byte) []byte {
	return regexp.MustCompile(`(?m)^( *)#((?:- )?[A-Za-z][A-Za-z_-]*:)`).ReplaceAll(data, []byte("$1$2"))
}

func TestTheExampleIsAGoodConfigAndItsOptionalKeysToo(t *testing.T) {
	c, err := Parse(Example())
	if err != nil {
		t.Fatal(err)
	}
	d := DefaultListen()
	if c.Listen != d || c.Log != defaultLog() || c.Backends[0].Timeout != DefaultTimeout || c.Routes[0].OnUnavailable != Deny {
		t.Errorf("the example is not the defaults: %+v", c)
	}
	full, err := Parse(everyKeyOf(Example()))
	if err != nil {
		t.Fatal(err)
	}
	if full.Listen != d || full.Log != defaultLog() || full.Backends[0].Timeout != DefaultTimeout || full.Routes[0].DenyStatus != DefaultDenyStatus {
		t.Errorf("what the example shows as defaults are none: %+v", full)
	}
	for _, c := range []*Config{c, full} {
		if r := c.Routes[0]; c.SessionLimit != DefaultSessionLimit || c.Backends[0].Preset != preset.Custom || r.Grace != DefaultGrace ||
			!reflect.DeepEqual(r.Session, defaultSession(false)) || !reflect.DeepEqual(limitsWithoutAddresses(c), DefaultLimits()) {
			t.Errorf("what the example says of sessions and limits is not the defaults: %+v", c)
		}
	}
	if names := zeroFields(reflect.ValueOf(*full)); len(names) > 0 {
		t.Errorf("the example sets no %v", names)
	}
}

// limitsWithoutAddresses are those of the first backend. Its addresses are an example.
func limitsWithoutAddresses(c *Config) Limits {
	l := c.Backends[0].Limits
	l.Addresses = nil
	return l
}

// zeroFields names the fields that no element of the config sets. A backend
// has url or urls, so a field is set if any element sets it.
func zeroFields(v reflect.Value) []string {
	var names []string
	for i := range v.NumField() {
		field, name := v.Field(i), v.Type().Field(i).Name
		switch {
		case field.Kind() == reflect.Struct && field.Type() != reflect.TypeFor[Key]():
			names = append(names, zeroFields(field)...)
		case field.Kind() == reflect.Slice && slices.Contains([]string{"Backends", "Routes"}, name) && field.Type().Elem().Kind() == reflect.Struct:
			names = append(names, zeroInAll(field)...)
		case field.IsZero():
			names = append(names, v.Type().Name()+"."+name)
		}
	}
	return names
}

func zeroInAll(list reflect.Value) []string {
	var common []string
	for i := range list.Len() {
		zero := zeroFields(list.Index(i))
		if i == 0 {
			common = zero
			continue
		}
		common = slices.DeleteFunc(common, func(name string) bool { return !slices.Contains(zero, name) })
	}
	return common
}

func TestTheSchemaTakesEveryGoodConfig(t *testing.T) {
	s := compileSchema(t)
	all := samples(t, "good")
	all["example"], all["example with every key"] = Example(), everyKeyOf(Example())
	for name, data := range all {
		if err := s.Validate(asJSON(t, data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSchemaRefusesWhatOneKeyShowsToBeWrong(t *testing.T) {
	s := compileSchema(t)
	bad := samples(t, "bad")
	for _, name := range []string{
		"not-a-mapping", "unknown-key", "unknown-key-of-a-backend", "no-backends", "no-routes", "empty-backends", "empty-routes",
		"backends-as-list", "routes-as-mapping", "listen-port-alone", "listen-without-port", "listen-relative-socket", "callers-one",
		"callers-empty", "callers-number", "log-level", "log-format", "backend-name", "backend-as-text", "no-url", "url-and-urls",
		"urls-twice", "urls-empty", "url-without-scheme", "url-other-scheme", "url-fragment", "timeout-without-unit",
		"timeout-negative", "timeout-word", "header-reserved", "header-name", "header-number", "ca-file-empty", "statuses-200",
		"statuses-text", "statuses-range", "probe-without-scheme", "route-without-name", "route-without-backends", "route-name",
		"route-backend-twice", "route-backend-singular", "match-hosts-empty", "match-host-wildcard", "match-host-url",
		"match-path-without-slash", "match-path-query", "on-unavailable-true", "on-unavailable-word", "deny-status-200",
		"deny-status-503", "deny-status-text", "keys-short", "keys-empty", "keys-number", "keys-path", "keys-twice", "keys-too-many",
		"keys-mapping", "state-empty", "state-directory", "sessions-limit-small", "sessions-limit-big", "preset-unknown",
		"grace-without-unit", "session-layout-word", "session-layout-no-stream", "session-join-unknown", "session-join-twice",
		"session-join-as-text", "session-idle-days", "session-unknown-key", "limits-questions-none", "limits-queue-negative",
		"limits-rate-with-unit", "limits-unknown-key", "limits-address-without-times", "limits-address-unknown-key", "limits-as-number",
		"limits-addresses-as-mapping", "mode-word", "mode-true", "shadow-empty", "shadow-twice", "rules-action", "rules-without-action", "rules-empty",
		"rules-unknown-key", "rules-country-word", "rules-user-agents-one", "country-file-empty", "token-kind", "token-without-kind", "token-without-secrets",
		"token-secret-empty", "token-parameters-one", "token-unknown-key", "redirect-empty", "redirect-path", "redirect-password", "trusted-empty", "trusted-one",
		"users-as-number", "users-unknown-key", "users-max-none", "users-max-too-many", "users-max-text", "users-on-exceed-word",
		"users-reply-word", "users-key-of-a-backend",
		"name-without-preset", "name-of-ministra", "name-without-stream", "name-other-place", "name-with-space", "name-number",
		"preset-without-url",
		"listen-tls-without-key", "listen-tls-without-cert", "listen-tls-empty", "listen-tls-directory",
		"listen-tls-as-text", "listen-tls-unknown-key", "listen-tls-names-without-ca", "listen-tls-names-as-text", "listen-tls-names-empty",
		"listen-tls-name-wildcard", "listen-tls-name-twice", "admin-token-short", "admin-token-space", "admin-token-path",
		"client-cert-without-key", "client-key-without-cert", "cache-1s", "cache-11s", "cache-part-of-a-second", "cache-without-unit",
		"cache-zero", "cache-of-a-session",
	} {
		data, ok := bad[name]
		if !ok {
			t.Errorf("there is no sample %s", name)
		} else if s.Validate(asJSON(t, data)) == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestTheSchemaKnowsEachPreset(t *testing.T) {
	s := compileSchema(t)
	for _, name := range preset.Names() {
		data := []byte("backends: {a: {url: http://b, preset: " + name + "}}\nroutes: [{name: a, backends: [a]}]\n")
		if c, err := Parse(data); err != nil || c.Backends[0].Preset != name {
			t.Errorf("%s: got %v, %v", name, c, err)
		}
		if err := s.Validate(asJSON(t, data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// keysOf gives the keys of an object of the schema.
func keysOf(t *testing.T, path ...string) []string {
	t.Helper()
	var node map[string]any
	if err := json.Unmarshal(Schema(), &node); err != nil {
		t.Fatal(err)
	}
	for _, step := range append(path, "properties") {
		next, ok := node[step].(map[string]any)
		if !ok {
			t.Fatalf("the schema has no %s in %v", step, path)
		}
		node = next
	}
	keys := make([]string, 0, len(node))
	for key := range node {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func TestTheSchemaAndTheReaderKnowTheSameKeys(t *testing.T) {
	for _, section := range []struct {
		file   string // with one key that no section has
		schema []string
	}{
		{"qqqqqqqqqqqq: 1", nil},
		{"listen: {qqqqqqqqqqqq: 1}", []string{"properties", "listen"}},
		{"listen_tls: {qqqqqqqqqqqq: 1}", []string{"properties", "listen_tls"}},
		{"log: {qqqqqqqqqqqq: 1}", []string{"properties", "log"}},
		{"sessions: {qqqqqqqqqqqq: 1}", []string{"properties", "sessions"}},
		{"backends: {a: {qqqqqqqqqqqq: 1}}", []string{"$defs", "backend"}},
		{"backends: {a: {limits: {qqqqqqqqqqqq: 1}}}", []string{"$defs", "backend", "properties", "limits"}},
		{"routes: [{qqqqqqqqqqqq: 1}]", []string{"$defs", "route"}},
		{"routes: [{match: {qqqqqqqqqqqq: 1}}]", []string{"$defs", "route", "properties", "match"}},
		{"routes: [{session: {qqqqqqqqqqqq: 1}}]", []string{"$defs", "route", "properties", "session"}},
		{"routes: [{secure_token: {qqqqqqqqqqqq: 1}}]", []string{"$defs", "route", "properties", "secure_token"}},
		{"routes: [{rules: [{qqqqqqqqqqqq: 1}]}]", []string{"$defs", "route", "properties", "rules", "items"}},
	} {
		_, err := Parse([]byte(section.file))
		found := regexp.MustCompile(`unknown key "qqqqqqqqqqqq"; the keys here are (.*)`).FindStringSubmatch(err.Error())
		if found == nil {
			t.Errorf("%s: got %v", section.file, err)
			continue
		}
		read := strings.Split(found[1], ", ")
		slices.Sort(read)
		if diff := cmp.Diff(keysOf(t, section.schema...), read); diff != "" {
			t.Errorf("%s (-schema +reader)\n%s", section.file, diff)
		}
		for _, key := range read {
			if !regexp.MustCompile(`(?m)^ *(- )?#?(- )?` + key + `:`).Match(Example()) {
				t.Errorf("the example does not show %s", key)
			}
		}
	}
}
