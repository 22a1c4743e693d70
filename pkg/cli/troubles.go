package cli

import (
	"context"
	"time"

	"github.com/rs/zerolog"
)

// troubles are lines about failures of the servers themselves, and what the HTTP
// library has to say of a backend. Nobody waits for the log: a line that it does
// not take in time is left out.
type troubles chan string

func newTroubles() troubles { return make(troubles, 16) }

// tell never waits.
func (t troubles) tell(line string) {
	select {
	case t <- line:
	default:
	}
}

// sameAgain is how long a line is not written again: one request can cause one.
const sameAgain = time.Minute

// write writes the lines until ctx ends, and then what is left.
func (t troubles) write(ctx context.Context, log *zerolog.Logger) {
	var last string
	var at time.Time
	write := func(line string) {
		if line != last || time.Since(at) >= sameAgain {
			log.Warn().Msg(line)
			last, at = line, time.Now()
		}
	}
	for {
		select {
		case line := <-t:
			write(line)
			continue
		default:
		}
		select {
		case line := <-t:
			write(line)
		case <-ctx.Done():
			return
		}
	}
}
