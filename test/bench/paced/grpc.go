package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"
)

// checker asks over gRPC, on a connection of its own. It writes and reads HTTP/2's
// frames itself: the client of grpc-go takes more of the processor than the server that
// is measured.
type checker struct {
	conn   blocking
	frames *http2.Framer
	// out are the frames that are not yet sent.
	out    bytes.Buffer
	header []byte
	check  *authv3.CheckRequest
	// forms are the messages for names of a length, with VIEWER's place filled.
	forms  map[int][]byte
	stream uint32
}

func checkers(n int, address string, message []byte) ([]asker, error) {
	var check authv3.CheckRequest
	if err := proto.Unmarshal(message, &check); err != nil {
		return nil, fmt.Errorf("reading what to ask: %w", err)
	}
	var header bytes.Buffer
	encoder := hpack.NewEncoder(&header)
	encoder.SetMaxDynamicTableSizeLimit(0) // so that one text is good for each question
	for _, h := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", authv3.Authorization_Check_FullMethodName}, {":authority", "altagate"},
		{"content-type", "application/grpc"}, {"te", "trailers"}, {"grpc-timeout", "1S"},
	} {
		if err := encoder.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			return nil, fmt.Errorf("writing the headers: %w", err)
		}
	}
	var all []asker
	for range n {
		conn, err := connect(address)
		if err != nil {
			return nil, err
		}
		c := &checker{conn: conn, header: header.Bytes(), check: &check, forms: map[int][]byte{}, stream: 1}
		c.frames = http2.NewFramer(&c.out, bufio.NewReader(conn))
		c.frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		c.out.WriteString(http2.ClientPreface)
		if err := c.frames.WriteSettings(); err != nil {
			return nil, fmt.Errorf("connecting: %w", err)
		}
		all = append(all, c)
	}
	return all, nil
}

func (c *checker) ask(name string) (allowed bool, err error) {
	message, err := c.named(name)
	if err != nil {
		return false, err
	}
	stream := c.stream
	c.stream += 2
	err = errors.Join(
		c.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.header, EndHeaders: true}),
		c.frames.WriteData(stream, true, message),
		c.flush(),
	)
	if err != nil {
		return false, fmt.Errorf("asking: %w", err)
	}
	return c.answer(stream)
}

func (c *checker) flush() error {
	defer c.out.Reset()
	return c.conn.send(c.out.Bytes())
}

// answer reads what a question is answered with.
func (c *checker) answer(stream uint32) (allowed bool, err error) {
	var body []byte
	for {
		frame, err := c.frames.ReadFrame()
		if err != nil {
			return false, fmt.Errorf("reading the answer: %w", err)
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = errors.Join(c.frames.WriteSettingsAck(), c.flush())
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = errors.Join(c.frames.WritePing(true, f.Data), c.flush())
			}
		case *http2.DataFrame:
			body = append(body, f.Data()...)
			// It goes out with the next question.
			err = c.frames.WriteWindowUpdate(0, f.Length)
		case *http2.MetaHeadersFrame:
			if f.StreamID == stream && f.StreamEnded() {
				return c.allowed(f, body)
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return false, fmt.Errorf("reading the answer: got %v", frame)
		}
		if err != nil {
			return false, fmt.Errorf("reading the answer: %w", err)
		}
	}
}

// frameHead is what gRPC has before a message: whether it is compressed, and its length.
const frameHead = 5

func (c *checker) allowed(trailers *http2.MetaHeadersFrame, body []byte) (bool, error) {
	for _, h := range trailers.RegularFields() {
		if h.Name == "grpc-status" && h.Value != "0" || h.Name == "grpc-message" && h.Value != "" {
			return false, fmt.Errorf("asking: got %v", h)
		}
	}
	if len(body) < frameHead {
		return false, io.ErrUnexpectedEOF
	}
	var answer authv3.CheckResponse
	if err := proto.Unmarshal(body[frameHead:], &answer); err != nil {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	return answer.GetStatus().GetCode() == 0, nil
}

// named is a check by the viewer of a name, as gRPC frames it.
func (c *checker) named(name string) ([]byte, error) {
	filler := strings.Repeat("\x01", len(name))
	form := c.forms[len(name)]
	if form == nil {
		one := proto.Clone(c.check).(*authv3.CheckRequest) //nolint:errcheck,forcetypeassert // It is what it was.
		http := one.GetAttributes().GetRequest().GetHttp()
		http.Path = strings.ReplaceAll(http.GetPath(), "VIEWER", filler)
		for _, h := range http.GetHeaderMap().GetHeaders() {
			h.RawValue = []byte(strings.ReplaceAll(string(h.GetRawValue()), "VIEWER", filler))
		}
		message, err := proto.Marshal(one)
		if err != nil {
			return nil, fmt.Errorf("writing the question: %w", err)
		}
		form = binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))) //nolint:gosec // some hundred bytes
		form = append(form, message...)
		c.forms[len(name)] = form
	}
	return bytes.ReplaceAll(form, []byte(filler), []byte(name)), nil
}
