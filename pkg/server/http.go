package server

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

const (
	// headerTimeout is plenty for a proxy next door.
	headerTimeout = 5 * time.Second
	// requestTimeout bounds a whole request, body and answer included. An
	// answer takes 5 s at most; a check's body is read by nobody.
	requestTimeout = 15 * time.Second
	// idleTimeout is longer than nginx keeps an idle upstream connection
	// (keepalive_timeout, 60 s), so that it is nginx who closes it: one that
	// altagate closed could meet a check already on its way.
	idleTimeout = 75 * time.Second
	// maxHeader has room for what proxies pass on: nginx 32 KiB, Envoy 60 KiB.
	maxHeader = 128 << 10
)

// HTTP is a server for checks, hardened against slow and oversized requests.
// connContext may add to the context of a connection what the handler needs to
// know of it, the peer's address above all; it may be nil.
//
// What net/http itself would log is dropped, because it can quote the request;
// set ErrorLog to see panics. net/http's own answer to "OPTIONS *", a 200, is
// off: to a proxy it would be an allow.
func HTTP(handler http.Handler, connContext func(context.Context, net.Conn) context.Context) *http.Server {
	return &http.Server{
		Handler:                      handler,
		ConnContext:                  connContext,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  requestTimeout,
		WriteTimeout:                 requestTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0),
	}
}
