package backend

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

const (
	// maxBody is how much of a reply's body is read, in bytes. Of a longer one
	// the status counts all the same, and its connection is not kept.
	maxBody = 64 << 10
	// maxName bounds X-UserId and X-Session-Name, in bytes.
	maxName = 256
)

// reply is a complete reply of a backend.
type reply struct {
	status int
	header http.Header
	// body is its beginning, where it was kept.
	body []byte
}

// readReply reads the rest of a reply, up to maxBody, and keeps it if keep is set. A
// reply that breaks off before that is none, whatever its status: a backend that
// dies in the middle of a script has not decided.
func readReply(resp *http.Response, keep bool) (reply, error) {
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 599 {
		return reply{}, fmt.Errorf("reply has status %d, which ends no HTTP exchange", resp.StatusCode)
	}
	if resp.Body == http.NoBody {
		return reply{status: resp.StatusCode, header: resp.Header}, nil
	}
	var kept bytes.Buffer
	into := io.Discard
	if keep {
		into = &kept
	}
	rep := reply{status: resp.StatusCode, header: resp.Header}
	_, err := io.CopyN(into, resp.Body, maxBody)
	rep.body = kept.Bytes()
	if err != nil && !errors.Is(err, io.EOF) {
		return rep, fmt.Errorf("reading the reply's body: %w", err)
	}
	return rep, nil
}

// outcome is what a complete reply means (Alta: status 200 allows, any other
// reply denies), save for the statuses that the operator counts as none, and for a
// body in which the portal of a preset refuses. refusal may be nil.
func (rep reply) outcome(unavailable []int, refusal func([]byte) error) check.Outcome {
	o := check.Outcome{Verdict: check.Denied, Status: rep.status}
	switch {
	case slices.Contains(unavailable, rep.status):
		o.Verdict = check.Unavailable
		o.Err = fmt.Errorf("reply has status %d, which counts as unavailable", rep.status)
		return o
	case rep.status == http.StatusOK:
		o.Verdict = check.Allowed
	}
	if o.Verdict == check.Allowed && refusal != nil {
		if o.Err = refusal(rep.body); o.Err != nil {
			o.Verdict = check.Denied
		}
	}
	o.User = plainText(rep.header.Get("X-UserId"))
	o.SessionName = plainText(rep.header.Get("X-Session-Name"))
	o.AuthDuration = authDuration(rep.header.Values("X-AuthDuration"))
	o.MaxSessions = maxSessions(rep.header.Values("X-Max-Sessions"))
	unique := rep.header.Values("X-Unique")
	o.Unique = len(unique) == 1 && strings.EqualFold(unique[0], "true")
	return o
}

// maxAuthDuration is a hundred years: longer is as good as for ever, and would
// not fit into a time.Duration for much longer.
const maxAuthDuration = 100 * 365 * 24 * time.Hour

// authDuration reads an X-AuthDuration (Flussonic, and Ministra after it): an
// integer number of seconds, 1 or more. Anything else is as if it were absent.
func authDuration(values []string) time.Duration {
	if len(values) != 1 {
		return 0
	}
	n, err := strconv.ParseUint(values[0], 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange), n > uint64(maxAuthDuration/time.Second):
		return maxAuthDuration
	case err != nil:
		return 0
	default:
		return time.Duration(n) * time.Second
	}
}

// maxSessions reads an X-Max-Sessions (Flussonic, and Ministra after it): an
// integer of 1 or more. Anything else is as if it were absent: no portal is known
// to mean by a 0 that its user may watch nothing, for which it has the status.
func maxSessions(values []string) int {
	if len(values) != 1 {
		return 0
	}
	n, err := strconv.ParseUint(values[0], 10, 31)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return math.MaxInt32
	case err != nil:
		return 0
	default:
		return int(n)
	}
}

// plainText is s if it is short and printable ASCII, else empty: it ends in
// logs and in headers for a proxy.
func plainText(s string) string {
	if len(s) > maxName {
		return ""
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return ""
		}
	}
	return s
}
