// Package preset knows the portals that operators have: what of the way in which
// they are asked, and in which their replies count, is a matter of the portal.
package preset

// Preset is one kind of backend. The zero value is no preset; see Find.
type Preset struct {
	// Name is what the config calls it.
	Name string
	// TokensDie is set where a token is good for a few seconds after it was made
	// and never again: an allow then lasts for its X-AuthDuration, and the backend
	// is not asked about the same token a second time.
	TokensDie bool
}

// Custom is the preset of a backend that is asked as Cesbo Alta asks, and whose
// tokens last.
const Custom = "custom"

// presets lists them all.
func presets() []Preset {
	return []Preset{
		{Name: Custom},
		// chk_flussonic_tmp_link.php of Ministra (Stalker): the portal makes a token
		// when a viewer starts a channel and forgets it after tv_tmp_link_ttl, 5 s by
		// default. Its reply to a token that it knows has X-AuthDuration: 36000.
		{Name: "ministra", TokensDie: true},
	}
}

// Find gives the preset of a name; an empty one is Custom.
func Find(name string) (Preset, bool) {
	if name == "" {
		name = Custom
	}
	for _, p := range presets() {
		if p.Name == name {
			return p, true
		}
	}
	return Preset{}, false
}

// Names gives the names of all presets.
func Names() []string {
	var names []string
	for _, p := range presets() {
		names = append(names, p.Name)
	}
	return names
}
