// Package live asks a running altagate how it does: at its admin listener, and
// at those for checks.
package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/doctor"
)

// patience is how long any answer of altagate may take.
const patience = 5 * time.Second

// maxBody is the most of an answer that is read.
const maxBody = 16 << 20

// Altagate is a running altagate, by the addresses of its listeners: host:port,
// unix:/path or, for one that is off, empty.
type Altagate struct {
	Admin, HTTP, GRPC string
	// Token is for the API; empty if it wants none.
	Token string
	// TLS is set if its TCP listeners speak TLS: nothing is asked there.
	TLS bool
}

// errTLS says what to do where the admin listener speaks TLS.
var errTLS = errors.New("its admin listener speaks TLS, over which it is not asked here: listen.admin on a Unix socket is")

// hidden says whether the listener at an address speaks TLS.
func (a Altagate) hidden(listen string) bool {
	network, _ := dialing(listen)
	return a.TLS && network == "tcp"
}

// dialing gives the network and the address of a listener. One on all addresses is
// asked on loopback.
func dialing(listen string) (network, address string) {
	if path, ok := strings.CutPrefix(listen, "unix:"); ok {
		return "unix", path
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "tcp", listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "tcp", net.JoinHostPort(host, port)
}

func dial(ctx context.Context, listen string) (net.Conn, error) {
	network, address := dialing(listen)
	return (&net.Dialer{Timeout: patience}).DialContext(ctx, network, address)
}

// page is what a listener answered.
type page struct {
	status int
	header http.Header
	body   string
}

// get gets a page of a listener. The host is one that the API answers under.
func get(ctx context.Context, listen, target string, header ...string) (page, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, listen) },
		DisableKeepAlives: true,
	}
	host := "localhost"
	if network, address := dialing(listen); network == "tcp" {
		host = address
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+target, nil)
	if err != nil {
		return page{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	reply, err := transport.RoundTrip(r)
	if err != nil {
		return page{}, err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(io.LimitReader(reply.Body, maxBody))
	return page{reply.StatusCode, reply.Header, string(body)}, err
}

// api gets something of the API.
func (a Altagate) api(ctx context.Context, target string, into any) error {
	var header []string
	switch {
	case a.hidden(a.Admin):
		return errTLS
	case a.Token != "":
		header = []string{"Authorization", "Bearer " + a.Token}
	}
	got, err := get(ctx, a.Admin, target, header...)
	if err != nil {
		return err
	}
	if got.status != http.StatusOK {
		var said struct {
			Error string `json:"error"`
		}
		if json.Unmarshal([]byte(got.body), &said) != nil || said.Error == "" {
			said.Error = "it is no altagate of this version"
		}
		return fmt.Errorf("%s answered %d: %s", a.Admin, got.status, said.Error)
	}
	if err := json.Unmarshal([]byte(got.body), into); err != nil {
		return fmt.Errorf("reading what %s answered: %w", a.Admin, err)
	}
	return nil
}

// Decisions are the decisions of the last while about requests that have the text in
// their User-Agent, path, host or query, the oldest first. altagate notes them from
// the first time that it is asked for that text, for a minute each time.
func (a Altagate) Decisions(ctx context.Context, match string) ([]doctor.Decided, error) {
	if a.Admin == "" {
		return nil, errors.New("the admin listener is turned off")
	}
	var got struct {
		Decisions []doctor.Decided `json:"decisions"`
	}
	err := a.api(ctx, "/api/v1/decisions?match="+url.QueryEscape(match), &got)
	return got.Decisions, err
}

// There says whether altagate's admin listener answers, or, where it speaks TLS,
// whether something listens there.
func (a Altagate) There(ctx context.Context) bool {
	if a.hidden(a.Admin) {
		c, err := dial(ctx, a.Admin)
		if err == nil {
			c.Close() //nolint:errcheck // nothing was sent
		}
		return err == nil
	}
	got, err := get(ctx, a.Admin, "/healthz")
	return err == nil && got.body == "ok\n"
}

// IsAdmin says whether an admin listener of altagate is at an address.
func IsAdmin(ctx context.Context, address string) bool {
	got, err := get(ctx, address, "/")
	return err == nil && strings.HasPrefix(got.body, "altagate\n")
}

// IsForChecks says whether a listener for checks over HTTP is at an address. It
// asks there for nothing, which altagate denies.
func IsForChecks(ctx context.Context, address string) bool {
	got, err := get(ctx, address, "/auth/nginx")
	return err == nil && got.status == http.StatusForbidden && got.header.Get("X-Altagate-Decision") == "deny"
}
