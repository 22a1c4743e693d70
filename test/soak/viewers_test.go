package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"
)

// viewer pays for all that it watches.
type viewer struct {
	world *world
	rand  *rand.Rand
	n     int
	edge  edge
	route string
	addr  netip.Addr
	agent string
	// faithful stays on its first channel for the whole round.
	faithful bool
	got      []answer
}

// newViewer makes the n-th viewer. Some share an address, as in a household, and
// differ in their User-Agent.
func newViewer(w *world, n int) *viewer {
	r := rand.New(rand.NewPCG(w.plan.seed, uint64(1+n))) //nolint:gosec // Not a secret.
	household := n / 4 * 4
	if n%4 > 1 {
		household = n
	}
	return &viewer{
		world: w, rand: r, n: n, edge: w.edges[n/2%2], route: []string{"deny", "allow"}[n/8%2],
		addr:  netip.AddrFrom4([4]byte{127, 10, byte(household / 250), byte(1 + household%250)}),
		agent: fmt.Sprintf("Box/%d", n), faithful: n%5 < 2,
	}
}

// watch watches one channel after the other until the round is over.
func (v *viewer) watch(ctx context.Context) {
	// Not all in the same moment.
	going := pause(ctx, time.Duration(v.rand.Int64N(int64(v.world.plan.pace))))
	for i := 0; going; i++ {
		folder := fmt.Sprintf("/%s/c%d-%d/", v.route, v.n, i)
		valid := []time.Duration{0, 0, 2 * time.Second, 3 * time.Second}[v.rand.IntN(4)]
		w := &viewing{ticket: v.world.portal.sell(v.addr, v.agent, folder, valid)}
		going = v.begin(ctx, w) && v.play(ctx, w)
	}
}

// begin tries until it is let in.
func (v *viewer) begin(ctx context.Context, w *viewing) bool {
	for {
		a := v.ask(w, w.ticket.folder+"index.m3u8", "?token="+w.ticket.token, true)
		if a.status == 200 {
			w.opened = true
			return v.breathe(ctx, 1)
		}
		if !v.breathe(ctx, 0.5) {
			return false
		}
	}
}

// play asks for playlists and segments, until it zaps, or the portal ends it.
func (v *viewer) play(ctx context.Context, w *viewing) bool {
	segments := 2 + v.rand.IntN(6)
	leaves := !v.faithful && w.ticket.valid > 0 && v.rand.IntN(2) == 0
	for i := 0; v.faithful || i < segments || !w.takenBack.IsZero(); i++ {
		path, query := fmt.Sprintf("%s%d.ts", w.ticket.folder, i), ""
		switch v.rand.IntN(4) {
		case 0:
			path, query = w.ticket.folder+"index.m3u8", "?token="+w.ticket.token
		case 1:
			query = fmt.Sprintf("?t=%d", i)
		}
		a := v.ask(w, path, query, false)
		if a.status != 200 && !w.takenBack.IsZero() {
			return v.breathe(ctx, 1) // It is over, as it should be.
		}
		if leaves && i+1 == segments {
			w.takenBack = time.Now()
			v.world.portal.takeBack(w.ticket)
		}
		if !v.breathe(ctx, 1) {
			return false
		}
	}
	return true
}

func (v *viewer) ask(w *viewing, path, query string, entry bool) answer {
	a := answer{edge: v.edge.name, route: v.route, addr: v.addr, path: path, viewing: w, entry: entry}
	a = a.ask(v.edge.address, get(path+query, v.agent), patience)
	v.got = append(v.got, a)
	return a
}

// breathe waits for about a pace, and tells whether the round goes on.
func (v *viewer) breathe(ctx context.Context, paces float64) bool {
	share := paces * (0.8 + 0.4*v.rand.Float64())
	return pause(ctx, time.Duration(share*float64(v.world.plan.pace)))
}
