package server

import (
	"log"
	"net/http"
	"strings"
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

// HTTP is a server for checks, hardened against slow and oversized requests. It
// speaks HTTP/1 and, in clear text with prior knowledge, HTTP/2.
// net/http's own answer to "OPTIONS *", a 200, is off: to a proxy it would be an
// allow. A handler that panics denies, with 403.
//
// trouble gets one line, without anything that a viewer sent, about each panic
// and about what net/http would log: a listener that cannot accept above all.
// It is called from many goroutines at once and must not wait.
func HTTP(handler http.Handler, trouble func(line string)) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Protocols:                    &protocols,
		Handler:                      beginning(denyingPanics(handler, trouble)),
		ConnContext:                  withConnection,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  requestTimeout,
		WriteTimeout:                 requestTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(Lines(trouble), "", 0),
	}
}

// Lines hands on what net/http logs, without what it quotes: that can be a
// viewer's bytes. It is the writer of a standard logger without flags.
type Lines func(line string)

// Write takes one message. It is cut where it begins to quote.
func (l Lines) Write(message []byte) (int, error) {
	line, _, _ := strings.Cut(string(message), "\n")
	line, _, _ = strings.Cut(line, `"`)
	l(strings.TrimSpace(line))
	return len(message), nil
}
