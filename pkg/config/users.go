package config

import "github.com/altagate/altagate/pkg/check"

const exampleUsers = "users: {max_sessions: 2}"

// Users limit how many viewers may watch at a time as one user of a backend, whom
// its reply names by X-UserId. The zero value limits nobody, whatever the reply says.
type Users struct {
	// MaxSessions is how many where the reply has no X-Max-Sessions, 1 to 100; 0
	// means any number. What one viewer watches counts once.
	MaxSessions int
	// OnExceed is what happens when there is one more; "" means EndOldest where the
	// reply has X-Unique: true, else DenyNew.
	OnExceed OnExceed
	// Reply says whether the reply's X-Max-Sessions and X-Unique count. Default
	// Heed.
	Reply Reply
}

// OnExceed is what happens when one more viewer than may comes as a user.
type OnExceed string

// The values of on_exceed.
const (
	// DenyNew denies the newcomer.
	DenyNew OnExceed = "deny_new"
	// EndOldest ends the sessions of the viewer who has been watching for longest.
	EndOldest OnExceed = "end_oldest"
)

// Reply is what becomes of what a reply says. What is not Heed ignores it.
type Reply string

// The values of reply.
const (
	Heed   Reply = "heed"
	Ignore Reply = "ignore"
)

func readUsers(v value) Users {
	u := Users{Reply: Heed}
	keys := v.section(exampleUsers, "max_sessions", "on_exceed", "reply")
	keys["max_sessions"].numberFrom(1, check.MaxViewers, &u.MaxSessions)
	if word, ok := keys["on_exceed"].oneOf(string(DenyNew), string(EndOldest)); ok {
		u.OnExceed = OnExceed(word)
	}
	if word, ok := keys["reply"].oneOf(string(Heed), string(Ignore)); ok {
		u.Reply = Reply(word)
	}
	if u.Reply == Ignore && u.OnExceed != "" && !keys["max_sessions"].present() {
		keys["on_exceed"].wrong("has no meaning where the reply is ignored and there is no max_sessions: write max_sessions: 2, or leave it out")
	}
	return u
}
