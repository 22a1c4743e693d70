package cli

import (
	"context"

	"github.com/rs/zerolog"
)

// troubles are lines about failures of the servers themselves. No server waits
// for the log: a line that it does not take in time is left out.
type troubles chan string

func newTroubles() troubles { return make(troubles, 16) }

// tell never waits.
func (t troubles) tell(line string) {
	select {
	case t <- line:
	default:
	}
}

// write writes the lines until ctx ends, and then what is left.
func (t troubles) write(ctx context.Context, log *zerolog.Logger) {
	for {
		select {
		case line := <-t:
			log.Warn().Msg(line)
			continue
		default:
		}
		select {
		case line := <-t:
			log.Warn().Msg(line)
		case <-ctx.Done():
			return
		}
	}
}
