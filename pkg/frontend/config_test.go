package frontend_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend"
)

func TestACallerThatLeftCountsForNothing(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	records := 0
	c := frontend.Config{
		Checker: checker(func(context.Context, *check.Request) check.Decision {
			leave()
			return check.Deny(check.Late)
		}),
		May:    func(net.Addr) bool { return true },
		Record: func(*check.Request, check.Decision, time.Duration) { records++ },
	}
	said := frontend.Context{
		Proxy: "nginx", Method: "GET", Scheme: "http", Host: "tv.example.com", Target: "/live/index.m3u8", Address: "192.0.2.7",
	}
	peer := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	if c.Check(ctx, peer, said); records != 0 {
		t.Errorf("%d records of a check whose caller has left, want none: nobody was told anything", records)
	}
	if c.Check(t.Context(), peer, said); records != 1 {
		t.Errorf("%d records of a check whose caller waits, want 1", records)
	}
}
