package e2e

import (
	"bytes"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/altagate/altagate/test/rig"
)

// TestAViewerOverHTTP2SaysNoMoreThanOneOverHTTP1 writes headers as no client would, in
// HTTP/2 without TLS, which the shipped Envoy configs take.
func TestAViewerOverHTTP2SaysNoMoreThanOneOverHTTP1(t *testing.T) {
	type field = hpack.HeaderField
	ask := func(path string, more ...field) []field {
		return append([]field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: path}}, more...)
	}
	scheme, host := field{Name: ":scheme", Value: "http"}, field{Name: ":authority", Value: "tv.example.com"}
	for _, e := range tcpEdges()[1:] {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startPHP(t)
			a := serve(t, e.unix, "--backend", backend.url)
			o := startOrigin(t)
			v := viewer{edge: e.start(t, e, a, o.address)}
			for name, fields := range map[string][]field{
				"plain":             ask("/x?token=123", scheme, host),
				"another scheme":    ask("/x?token=123", field{Name: ":scheme", Value: "https"}, host),
				"a scheme of none":  ask("/x?token=123", field{Name: ":scheme", Value: "ftp"}, host),
				"a host beside it":  ask("/x?token=123", scheme, host, field{Name: "host", Value: "other.example.com"}),
				"a host in place":   ask("/x?token=123", scheme, field{Name: "host", Value: "tv.example.com"}),
				"another authority": ask("/x?token=123", scheme, field{Name: ":authority", Value: "other.example.com"}),
				"a fragment":        ask("/x#y?token=123", scheme, host),
				"no slash":          ask("x?token=123", scheme, host),
				"an absolute path":  ask("http://other.example.com/x?token=123", scheme, host),
				"a second path":     ask("/x?token=123", scheme, host, field{Name: ":path", Value: "/y?token=123"}),
				"altagate's names":  ask("/x?token=123", scheme, host, field{Name: "x-session-id", Value: "forged"}, field{Name: "x_session_id", Value: "forged"}, field{Name: "x.session.id", Value: "forged"}, field{Name: "x-real-ip", Value: "192.0.2.66"}),
				"a control byte":    ask("/x?token=123", scheme, host, field{Name: "x-other", Value: "a\x01b"}),
			} {
				agent := "over HTTP/2: " + name
				status := v.overHTTP2(t, append(fields, field{Name: "user-agent", Value: agent}))
				reached := o.take()
				if (status == "200") != (len(reached) == 1) {
					t.Errorf("%s: status %s, the origin was asked %d times", name, status, len(reached))
				}
				if status != "200" {
					if name == "plain" || name == "altagate's names" {
						t.Errorf("%s: status %s, want 200", name, status)
					}
					continue
				}
				forgedNames(t, o)
				told := backend.told(t, agent)
				if told["X-Real-Origin"] != "http://tv.example.com" || told["X-Real-Path"] != "/x" || told["X-Real-Ip"] != "127.0.0.1" {
					t.Errorf("%s: the backend was told %v", name, told)
				}
			}
		})
	}
}

// overHTTP2 sends the headers as they are, and gives the status of the answer; what
// else ends the request has no digits.
func (v viewer) overHTTP2(t *testing.T, fields []hpack.HeaderField) string {
	t.Helper()
	c, err := net.Dial("tcp", v.edge.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(rig.Patience)); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	// Pseudo headers come first.
	for _, pseudo := range []bool{true, false} {
		for _, f := range fields {
			if (f.Name[0] == ':') == pseudo {
				if err := encoder.WriteField(f); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	framer := http2.NewFramer(c, c)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, err = c.Write([]byte(http2.ClientPreface))
	if err == nil {
		err = framer.WriteSettings()
	}
	if err == nil {
		err = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	}
	for err == nil {
		var frame http2.Frame
		if frame, err = framer.ReadFrame(); err != nil {
			break
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return "ended"
		}
	}
	return err.Error()
}
