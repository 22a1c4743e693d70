package gate

import (
	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/config"
)

// limited has an outcome say how many viewers its user may have, and whether the
// newest wins, by its backend's reply and by the config. Where the reply says
// X-Unique: true without a number, that is one viewer; where it has a number as
// well (Ministra sends both with each reply), it is so many, and the newest wins.
func (l *line) limited(o check.Outcome) check.Outcome {
	users, ok := l.users[o.Backend]
	if !ok {
		return o
	}
	if users.Reply != config.Heed {
		o.MaxSessions, o.Unique = 0, false
	}
	if o.MaxSessions == 0 {
		o.MaxSessions = users.MaxSessions
	}
	if o.MaxSessions == 0 && o.Unique {
		o.MaxSessions = 1
	}
	if users.OnExceed != "" {
		o.Unique = users.OnExceed == config.EndOldest
	}
	return o
}

// nameless reports, once for a backend, that its replies name no user, so that the
// limit that an operator wrote for it limits nobody.
func (l *line) nameless(o *check.Outcome, notify func(check.Event)) {
	if o.Verdict != check.Allowed || o.User != "" || l.users[o.Backend].MaxSessions == 0 {
		return
	}
	for _, s := range l.sources {
		if s.Name() == o.Backend {
			s.namelessOnce.Do(func() { notify(check.NamelessUsers{Backend: o.Backend}) })
		}
	}
}
