// Package compose reads the files of deploy/compose strictly by the library of Docker
// Compose 2, and holds their services to what docs/container.md says of them. It is a
// module of its own, so that nothing of it is in altagate's.
package compose

import (
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func TestTheFilesAreWhatComposeTakes(t *testing.T) {
	for _, name := range []string{"nginx", "envoy"} {
		options, err := cli.NewProjectOptions([]string{"../../deploy/compose/" + name + "/compose.yaml"})
		if err != nil {
			t.Fatal(err)
		}
		project, err := options.LoadProject(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if services := project.ServiceNames(); !slices.Equal(services, slices.Sorted(slices.Values([]string{"altagate", name}))) {
			t.Errorf("%s: the services are %q", name, services)
		}
		for _, s := range project.Services {
			confined(t, name, &s)
		}
		altagate := project.Services["altagate"]
		if h := altagate.HealthCheck; h == nil || !slices.Contains(h.Test, "http://127.0.0.1:9182/readyz") {
			t.Errorf("%s: altagate's health is %v", name, h)
		}
		if d := project.Services[name].DependsOn["altagate"]; d.Condition != types.ServiceConditionHealthy || d.Restart {
			t.Errorf("%s: the proxy depends on altagate by %+v", name, d)
		}
		if altagate.PullPolicy != types.PullPolicyNever {
			t.Errorf("%s: an image of altagate's name may be pulled", name)
		}
		if altagate.MemLimit == 0 || len(altagate.Secrets) != 1 {
			t.Errorf("%s: altagate has no memory limit, or no key", name)
		}
	}
}

// confined holds a service to having no rights and nothing to write but its volumes.
func confined(t *testing.T, file string, s *types.ServiceConfig) {
	t.Helper()
	if s.User == "" || strings.HasPrefix(s.User, "0") || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || s.Privileged ||
		!slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
		t.Errorf("%s: %s is not confined", file, s.Name)
	}
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeBind && !v.ReadOnly {
			t.Errorf("%s: %s may write %s of the host", file, s.Name, v.Source)
		}
	}
	if s.Logging == nil || s.Logging.Options["max-size"] == "" {
		t.Errorf("%s: the log of %s fills the disk", file, s.Name)
	}
}
