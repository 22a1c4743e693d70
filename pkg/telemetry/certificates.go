package telemetry

import "time"

// Certificate is one that is in force.
type Certificate struct {
	// Name is the key of the config that names its files, such as "listen_tls" or
	// "backends.portal".
	Name string
	// NotAfter is when it runs out; the zero Time where there are authorities only.
	NotAfter time.Time
}

// Certificates says which certificates are in force. It is called at the start and
// whenever that may have changed.
func (t *Telemetry) Certificates(all []Certificate) { t.metrics.certificates(all) }

// CertificateReloaded reports that the changed files of a certificate were put in
// force, or with an error that they were not and the old ones stay so.
func (t *Telemetry) CertificateReloaded(c Certificate, err error) {
	result := reloadOK
	if err != nil {
		result = reloadFailed
	}
	t.metrics.collected.CertsReloads.WithLabelValues(result).Inc()
	t.metrics.collected.CertsStale.WithLabelValues(c.Name).Set(oneIf(err != nil))
	if err != nil {
		t.aside.Error().Str("certificate", c.Name).Str("error", errorText(err, maxError)).
			Msg("certificate not reloaded: the old one stays in force")
		return
	}
	line := t.aside.Info().Str("certificate", c.Name)
	if !c.NotAfter.IsZero() {
		line.Str("not_after", c.NotAfter.UTC().Format(timeLayout))
	}
	line.Msg("certificate reloaded")
}

// SessionLimit says how many sessions are held at most.
func (t *Telemetry) SessionLimit(most int) { t.metrics.collected.SessionsLimit.Set(float64(most)) }

// certificates shows those in force, and no others. It is called by one goroutine
// at a time.
func (m *metrics) certificates(all []Certificate) {
	c, known := m.collected, map[string]bool{}
	for _, one := range all {
		known[one.Name] = true
		c.CertsStale.WithLabelValues(one.Name)
		if one.NotAfter.IsZero() {
			c.CertsNotAfter.DeleteLabelValues(one.Name)
		} else {
			c.CertsNotAfter.WithLabelValues(one.Name).Set(float64(one.NotAfter.Unix()))
		}
	}
	for name := range m.certs {
		if !known[name] {
			c.CertsStale.DeleteLabelValues(name)
			c.CertsNotAfter.DeleteLabelValues(name)
		}
	}
	m.certs = known
}
