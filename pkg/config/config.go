// Package config reads altagate's YAML file into plain values, and says of
// every mistake in it where it is and what would be right. Nothing here opens
// a socket or asks a backend: a Config that was read is a Config that can be
// put in force, save for files that it names.
package config

import (
	"net/netip"
	"net/url"
	"time"
)

// The defaults of the keys that have one.
const (
	DefaultHTTP         = "127.0.0.1:9180"
	DefaultGRPC         = "127.0.0.1:9181"
	DefaultAdmin        = "127.0.0.1:9182"
	DefaultLogLevel     = "info"
	DefaultLogFormat    = "json"
	DefaultTimeout      = 2 * time.Second
	DefaultDenyStatus   = 403
	DefaultGrace        = 10 * time.Minute
	DefaultIdle         = 10 * time.Minute
	DefaultMax          = 24 * time.Hour
	DefaultSessionLimit = 250_000
)

// The bounds on what is read.
const (
	// MaxSize is the longest file in bytes: 1 MiB, as for a Kubernetes ConfigMap.
	MaxSize = 1 << 20
	// MaxTimeout is the longest timeout of a backend.
	MaxTimeout = 60 * time.Second
	// MaxGrace is the longest grace of a route.
	MaxGrace = 7 * 24 * time.Hour
	// A session's idle and max, and the most sessions, are between these.
	minIdle, maxIdle                 = 10 * time.Second, 7 * 24 * time.Hour
	minMax, maxMax                   = time.Minute, 30 * 24 * time.Hour
	minSessionLimit, maxSessionLimit = 1000, 10_000_000
	// A route's cache is between these. nginx counts in whole seconds, and ends an
	// entry up to one later than it is told.
	minCache, maxCache = 2 * time.Second, 10 * time.Second
	// maxValues bounds the values read, each counted where it stands and in
	// what it stands in, for aliases can repeat a short text without end.
	maxValues = 500_000
	// maxMatches bounds the pairs of host and path of all routes together.
	maxMatches = 100_000
)

// Config is a whole config, defaults filled in. It is not changed after it was
// made, and so is safe for concurrent use.
type Config struct {
	Listen Listen
	// ListenTLS is for those of them that are on TCP.
	ListenTLS ListenTLS
	// Callers may ask: the peers of the http and grpc listeners. Empty means
	// loopback and Unix sockets only, and with ListenTLS.ClientCA whoever shows a
	// certificate. With both, both are needed. The prefixes are masked, and none is
	// IPv4-mapped.
	Callers []netip.Prefix
	Log     Log
	// AdminToken is the bearer token for the API of the admin listener; the zero Key
	// if there is none. LoadToken gives it.
	AdminToken Key
	// Keys sign the ids that viewers carry: the first signs, all are good. At most
	// MaxKeys, different; nil if there are none. LoadKeys gives the secrets.
	Keys []Key
	// State is the file that keeps sessions over a restart; "" means that nothing
	// does. A relative path begins at the working directory.
	State string
	// CountryFile is an MMDB file that says in which country an address is; "" means
	// that it is not known. A relative path begins at the working directory.
	CountryFile string
	// SessionLimit is how many sessions are held at most, 1000 to 10,000,000.
	// Default 250,000.
	SessionLimit int
	// Backends are in the order of the file, with different names; at least
	// one.
	Backends []Backend
	// Routes are in the order of the file, which means nothing: no two routes
	// take the same host and path. At least one.
	Routes []Route
}

// Listen holds the listeners' addresses: "host:port", "unix:/path" or, for a
// Linux abstract socket, "unix:@name". "" turns a listener off.
type Listen struct {
	// HTTP takes checks over HTTP. Default 127.0.0.1:9180.
	HTTP string
	// GRPC takes checks of Envoy over gRPC. Default 127.0.0.1:9181.
	GRPC string
	// Admin serves metrics and health. Default 127.0.0.1:9182.
	Admin string
}

// Log says what is logged and how.
type Log struct {
	// Level is "debug", "info", "warn" or "error". Default "info".
	Level string
	// Format is "json" or "console". Default "json".
	Format string
}

// Backend is one of the operator's services that know who may watch.
type Backend struct {
	// Name is how routes, metrics and the log call it.
	Name string
	// Preset is the kind of portal that it is, one of preset.Names(). Default
	// "custom".
	Preset string
	// URLs are the addresses of this one service, at least one, all http or
	// https with a host and no fragment. User and password in one are for
	// Basic auth, and must never be printed.
	URLs []*url.URL
	// Probe is asked, without any viewer's input, to learn whether the backend
	// is there: a path and query of each URL's host, or with one URL a whole
	// one; nil means that the URLs are.
	Probe *url.URL
	// Timeout is that of the whole question, all URLs together. More than 0
	// and at most MaxTimeout; default 2s.
	Timeout time.Duration
	// Headers are sent with each question, beside what altagate sets itself:
	// canonical name to value; nil if there are none. The values may be
	// secrets and must never be printed.
	Headers map[string]string
	// Host is sent as the Host header; "" means the host of the URL.
	Host string
	// CAFile is a PEM file with the only CAs trusted for https; "" means the
	// system's. A relative path begins at the working directory.
	CAFile string
	// ServerName is the name that the https certificate must have, and the
	// SNI; "" means the host of the URL.
	ServerName string
	// ClientCert and ClientKey are PEM files: the certificate that altagate shows to
	// an https backend, and its key. Both or none.
	ClientCert, ClientKey string
	// UnavailableStatuses are the reply statuses that count as no answer, 100
	// to 599 without 200; nil if there are none. Default: those of the preset.
	UnavailableStatuses []int
	// Stream is the template of the name that a stream has for the portal, with
	// preset.StreamPlace in it; "" tells it none.
	Stream string
	// Limits bound the questions that it is asked.
	Limits Limits
	// Users limit how many viewers watch as one user of it.
	Users Users
}

// Route says which requests go to which backends, and what is decided when
// they are away.
type Route struct {
	// Name is how a proxy, metrics and the log call it.
	Name string
	// Hosts are those of match: lower-case, without a final dot, with a port
	// only where it is not 80 or 443. One without a port matches on every
	// port. nil means every host.
	Hosts []string
	// Paths are those of match: they begin with "/", are in the normal form of
	// package target, and take whole segments: "/live" takes "/live" and all
	// below it, "/live/" only what is below. nil means every path.
	Paths []string
	// Trusted are the addresses of proxies in front of the one that asks: in a list
	// of addresses that a proxy passes on (X-Forwarded-For) they are not the
	// viewer's. Masked, and none is IPv4-mapped; nil means none.
	Trusted []netip.Prefix
	// Backends are names in Config.Backends, different, at least one. They are
	// asked in parallel.
	Backends []string
	// Rules decide before sessions and backends, the first that fits; nil if there are
	// none.
	Rules []Rule
	// SecureToken is asked after sessions and before backends.
	SecureToken SecureToken
	// Shadow are names in Config.Backends, different, and none that is among the
	// Backends of any route; nil if there are none. They are asked too, and decide
	// nothing.
	Shadow []string
	// OnUnavailable is what is decided while all the backends are away.
	// Default Deny (Alta's own is allow).
	OnUnavailable Action
	// Grace is how long a viewer who was allowed keeps watching while all the
	// backends are away. 0 to MaxGrace; default 10m.
	Grace time.Duration
	// DenyStatus is the HTTP status of a denial, 400 to 499, where the proxy
	// can show it. Default 403.
	DenyStatus int
	// Redirect is where viewers are sent who are told no: a whole URL, http or https,
	// of printable ASCII and without a password; "" for a plain denial.
	Redirect string
	// Session says which requests are one viewing.
	Session Session
	// Mode is whether denials are in force. Default Enforce.
	Mode Mode
	// Cache is the longest for which nginx may repeat what a session allowed, in whole
	// seconds, 2s to 10s; 0, the default, means not at all.
	Cache time.Duration
}

// Action is what is decided while the backend is away. What is not Allow
// denies, the zero value too.
type Action string

// The values of on_unavailable.
const (
	Deny  Action = "deny"
	Allow Action = "allow"
)

// Mode is whether a route's denials are in force. What is not Observe is Enforce,
// the zero value too.
type Mode string

// The values of mode.
const (
	// Enforce denies whom it denies.
	Enforce Mode = "enforce"
	// Observe allows everything, and tells what would have been denied.
	Observe Mode = "observe"
)

// DefaultListen gives the listeners of a config that says nothing of them, all
// on loopback.
func DefaultListen() Listen {
	return Listen{HTTP: DefaultHTTP, GRPC: DefaultGRPC, Admin: DefaultAdmin}
}

func defaultLog() Log { return Log{Level: DefaultLogLevel, Format: DefaultLogFormat} }
