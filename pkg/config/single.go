package config

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/altagate/altagate/pkg/preset"
)

// Single makes the config of a sidecar without a file: the defaults, and one
// route "default" that takes every request and asks all the backends, which
// are called "backend", or "backend-1" and so on if there are several. With
// "" for onUnavailable they deny while they are away; else it is "deny" or
// "allow". Backend.SetPreset makes them another kind than custom. The error names
// no URL, for it may hold a password.
func Single(urls []string, onUnavailable string) (*Config, error) {
	if len(urls) == 0 {
		return nil, fmt.Errorf("there is no backend URL: write one, as in http://10.0.0.5/auth")
	}
	action := Action(onUnavailable)
	switch action {
	case "":
		action = Deny
	case Deny, Allow:
	default:
		return nil, fmt.Errorf("on-unavailable %s is neither deny nor allow", quote(onUnavailable))
	}
	c := &Config{Listen: DefaultListen(), Log: defaultLog(), SessionLimit: DefaultSessionLimit}
	r := Route{
		Name: "default", OnUnavailable: action, Grace: DefaultGrace, DenyStatus: DefaultDenyStatus, Session: defaultSession(false), Mode: Enforce,
	}
	for i, raw := range urls {
		name, which := "backend", "the backend URL"
		if len(urls) > 1 {
			name += "-" + strconv.Itoa(i+1)
			which = "backend URL " + strconv.Itoa(i+1)
		}
		u, err := parseURL(raw)
		if err != nil {
			return nil, fmt.Errorf("%s %w", which, err)
		}
		c.Backends = append(c.Backends, Backend{
			Name: name, Preset: preset.Custom, URLs: []*url.URL{u}, Timeout: DefaultTimeout, Limits: DefaultLimits(), Users: Users{Reply: Heed},
		})
		r.Backends = append(r.Backends, name)
	}
	c.Routes = []Route{r}
	return c, nil
}
