package cli

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/altagate/altagate/pkg/certs"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/telemetry"
	"github.com/altagate/altagate/pkg/viewer"
)

// secrets are what the files hold that a config names for the listeners, read before
// anything of the config is put in force.
type secrets struct {
	token []byte
	// front is nil if there is no TLS.
	front *certs.Loaded
}

func readSecrets(cfg *config.Config) (secrets, error) {
	var s secrets
	var err error
	if s.token, err = config.LoadToken(cfg.AdminToken); err != nil {
		return s, err
	}
	if cfg.ListenTLS.On() {
		if s.front, err = frontOf(cfg.ListenTLS).Load(); err != nil {
			return s, fmt.Errorf("listen_tls: %w", err)
		}
	}
	return s, nil
}

func frontOf(t config.ListenTLS) certs.Front {
	return certs.Front{Files: certs.Files{Cert: t.Cert, Key: t.Key, CA: t.ClientCA}, Names: t.ClientNames}
}

// admit puts in force who may ask. TLS itself is turned on and off by a restart.
func (a *sidecar) admit(cfg *config.Config, s secrets) {
	a.token.Store(&s.token)
	if a.door != nil && s.front != nil {
		a.door.Put(s.front)
	}
	a.callers.Store(a.callersOf(cfg))
	a.showCertificates()
}

// callersOf are the addresses that may ask. Where none are listed and the listeners
// want a certificate, whoever has got through the handshake may; what counts is what
// the listeners do, and not what the config would have them do after a restart.
func (a *sidecar) callersOf(cfg *config.Config) *viewer.Callers {
	if len(cfg.Callers) == 0 && a.door != nil && a.door.AsksClients() {
		return viewer.NewCallers([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")})
	}
	return viewer.NewCallers(cfg.Callers)
}

func (a *sidecar) adminToken() []byte { return *a.token.Load() }

// overTLS serves a listener over TLS if the config says so. Whoever asks for checks
// shows a certificate where one is wanted.
func (a *sidecar) overTLS(name string, l net.Listener) net.Listener {
	if a.door == nil {
		return l
	}
	protocol := "http/1.1"
	if name == "grpc" {
		protocol = "h2"
	}
	return a.door.Listen(l, protocol, name != "admin")
}

// keepers see the changes of the files of all certificates in force, by the config's
// key that names them.
func (a *sidecar) keepers() map[string]*certs.Keeper {
	all := map[string]*certs.Keeper{}
	if a.door != nil {
		all["listen_tls"] = a.door.Keeper()
	}
	for name, keeper := range a.gate.Certificates() {
		all["backends."+name] = keeper
	}
	return all
}

// followCertificates takes in the files of certificates when they change, until ctx
// ends.
func (a *sidecar) followCertificates(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			a.lookAtCertificates()
		}
	}
}

func (a *sidecar) lookAtCertificates() {
	for name, keeper := range a.keepers() {
		if changed, err := keeper.Look(); changed {
			a.telemetry.CertificateReloaded(telemetry.Certificate{Name: name, NotAfter: keeper.NotAfter()}, err)
			a.showCertificates()
		}
	}
}

func (a *sidecar) showCertificates() {
	a.showing.Lock()
	defer a.showing.Unlock()
	keepers := a.keepers()
	all := make([]telemetry.Certificate, 0, len(keepers))
	for _, name := range slices.Sorted(maps.Keys(keepers)) {
		all = append(all, telemetry.Certificate{Name: name, NotAfter: keepers[name].NotAfter()})
	}
	a.telemetry.Certificates(all)
}
