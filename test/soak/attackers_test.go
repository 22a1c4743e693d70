package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// attacker has paid for nothing.
type attacker struct {
	world *world
	rand  *rand.Rand
	n     int
	addr  netip.Addr
	seq   int
	mu    sync.Mutex
	got   []answer
}

func newAttacker(w *world, n int) *attacker {
	return &attacker{
		world: w, n: n,
		rand: rand.New(rand.NewPCG(w.plan.seed, uint64(1_000_000+n))), //nolint:gosec // Not a secret.
		addr: netip.AddrFrom4([4]byte{127, 20, byte(n / 250), byte(1 + n%250)}),
	}
}

// chance is what an attack is made of.
type chance struct {
	rand *rand.Rand
	// seq is another number each time.
	seq    int
	route  string
	victim *ticket
}

// path is one that no other attack has, and can be found by in a proxy's log.
func (c chance) path(file string) string { return fmt.Sprintf("/%s/x%d/%s", c.route, c.seq, file) }

func (c chance) pick(all ...string) string { return all[c.rand.IntN(len(all))] }

// attack is a way to try to get in.
type attack struct {
	name string
	// write gives the path, as the proxy logs it, and the bytes to send.
	write func(c chance) (path, bytes string)
	// leaves is set where the attacker does not wait for the answer.
	leaves bool
}

// attacks are all of them.
func attacks() []attack {
	entry := func(c chance, query string, more ...string) (string, string) {
		p := c.path("index.m3u8")
		return p, get(p+query, "curl/8", more...)
	}
	breaking := func(c chance) string {
		return "?token=" + c.pick(mustHang, mustEnd, mustCut, mustSwim, mustBrag, mustTurn, mustDrag) + fmt.Sprint(c.seq)
	}
	return []attack{
		{name: "a token that nobody made", write: func(c chance) (string, string) {
			return entry(c, fmt.Sprintf("?token=%s%d", junk, c.seq))
		}},
		{name: "no token", write: func(c chance) (string, string) {
			p := c.path(c.pick("1.ts", "index.m3u8", "init.mp4", ""))
			return p, get(p, "curl/8")
		}},
		{name: "a question that breaks the check", write: func(c chance) (string, string) { return entry(c, breaking(c)) }},
		{name: "a question that breaks the check, and off", leaves: true, write: func(c chance) (string, string) {
			return entry(c, breaking(c))
		}},
		{name: "half a request", leaves: true, write: func(c chance) (string, string) {
			p, bytes := entry(c, breaking(c))
			return p, bytes[:len(bytes)/2]
		}},
		{name: "another's token", write: func(c chance) (string, string) {
			p := c.victim.folder + "index.m3u8"
			return p, get(p+"?token="+c.victim.token, c.victim.agent)
		}},
		{name: "another's segment", write: func(c chance) (string, string) {
			p := fmt.Sprintf("%s%d.ts", c.victim.folder, 1_000_000+c.seq)
			return p, get(p, c.victim.agent)
		}},
		{name: "another's token among one's own", write: func(c chance) (string, string) {
			own := fmt.Sprintf("token=%s%d", junk, c.seq)
			return entry(c, "?"+c.pick(own+"&token="+c.victim.token, "token="+c.victim.token+"&"+own, "tok%65n="+c.victim.token+"&"+own,
				"altagate_id=x;token="+c.victim.token, "altagate_id=v1.a.b.c&token="+c.victim.token, "token[]="+c.victim.token))
		}},
		{name: "forged headers", write: forged},
		{name: "a path that can be read in two ways", write: twoWays},
		{name: "huge headers", write: func(c chance) (string, string) {
			size := []int{3 << 10, 7 << 10, 20 << 10, 70 << 10}[c.rand.IntN(4)]
			return entry(c, "?token="+junk, c.pick("Cookie: altagate_id=", "X-Any: ", "Referer: ")+strings.Repeat("x", size)+"\r\n")
		}},
		{name: "a huge query", write: func(c chance) (string, string) {
			return entry(c, "?token="+junk+strings.Repeat("x", 1<<(8+c.rand.IntN(9))))
		}},
		{name: "odd methods", write: func(c chance) (string, string) {
			p, bytes := entry(c, breaking(c), "Content-Length: 10\r\n")
			return p, c.pick("POST", "PUT", "DELETE", "PROPFIND", "OPTIONS", "HEAD") + strings.TrimPrefix(bytes, "GET") + "half "
		}, leaves: true},
		{name: "bytes that are no HTTP", leaves: true, write: func(c chance) (string, string) {
			return "", c.pick("\x16\x03\x01\x02\x00\x01", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET\r\n\r\n", "\r\n\r\n\r\n", "GET / HTTP/9.9\r\n\r\n")
		}},
	}
}

// forged says in headers what only a proxy may say.
func forged(c chance) (path, bytes string) {
	path = c.path("index.m3u8")
	uri := c.victim.folder + "index.m3u8?token=" + c.victim.token
	var more []string
	for _, h := range []string{
		"X-Original-URI: " + uri, "X-Original-URL: http://tv.example.com" + uri, "X-Envoy-Original-Path: " + uri, "X-Rewrite-URL: " + uri,
		"X-Real-IP: " + c.victim.addr.String(), "X-Forwarded-For: " + c.victim.addr.String(), "X-Envoy-External-Address: " + c.victim.addr.String(),
		"X-Altagate-Decision: allow", "X-Altagate-Reason: session", "X-Session-Id: 0123456789abcdef0123456789abcdef", "X_Real_IP: " + c.victim.addr.String(),
		"Upgrade: websocket", "Expect: 100-continue", "User-Agent: " + c.victim.agent, "Cookie: altagate_id=" + c.victim.token,
	} {
		if c.rand.IntN(2) == 0 {
			more = append(more, h+"\r\n")
		}
	}
	return path, get(path+"?token="+c.victim.token, c.victim.agent, more...)
}

// twoWays asks for a victim's stream below a folder of the attacker's, in ways that
// neither proxy resolves by itself.
func twoWays(c chance) (path, bytes string) {
	own := fmt.Sprintf("/%s/x%d", c.route, c.seq)
	target := own + c.pick("/%2e%2e;/", "%2f..%2f", "/..%5c", "/%00/", "/%zz/", "/%252e%252e/", "/%x", "/\x01/") +
		strings.TrimPrefix(c.victim.folder, "/"+c.route+"/") + "index.m3u8?token=" + c.victim.token
	return "", get(target, c.victim.agent)
}

// strike attacks until the round is over.
func (a *attacker) strike(ctx context.Context) {
	all := attacks()
	for pause(ctx, time.Duration(a.rand.Int64N(int64(300*time.Millisecond)))) {
		switch a.rand.IntN(40) {
		case 0:
			a.flood(all)
		default:
			a.once(a.chance(), all[a.rand.IntN(len(all))])
		}
	}
}

// chance gives what the next attack is made of.
func (a *attacker) chance() chance {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seq++
	c := chance{seq: a.n*1_000_000 + a.seq, route: []string{"deny", "allow"}[a.rand.IntN(2)], victim: a.world.portal.victim(a.rand.Uint64())}
	c.rand = rand.New(rand.NewPCG(a.rand.Uint64(), 0)) //nolint:gosec // Not a secret.
	return c
}

// flood puts many questions at once.
func (a *attacker) flood(all []attack) {
	var each sync.WaitGroup
	for range 40 {
		c := a.chance()
		each.Go(func() { a.once(c, all[c.rand.IntN(3)]) })
	}
	each.Wait()
}

func (a *attacker) once(c chance, k attack) {
	if c.victim == nil {
		return
	}
	path, bytes := k.write(c)
	edge := a.world.edges[c.rand.IntN(2)]
	wait := patience
	if k.leaves {
		wait = time.Duration(c.rand.Int64N(int64(time.Second)))
	}
	got := answer{edge: edge.name, route: routeOf(path, c.route), addr: a.addr, path: path, attack: k.name, sent: bytes[:min(len(bytes), 120)], gone: k.leaves}
	a.note(got.ask(edge.address, bytes, wait))
}

func routeOf(path, otherwise string) string {
	if parts := strings.Split(path, "/"); len(parts) > 1 {
		return parts[1]
	}
	return otherwise
}

func (a *attacker) note(got answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, got)
}

// ride asks again and again for one stream with one token, as a player does: it may
// be let in while the backend is away, and must be out when that is over.
func (a *attacker) ride(ctx context.Context) {
	tokens := []string{junk, mustHang, mustEnd, mustDrag, mustCut}
	token := fmt.Sprintf("%s%d", tokens[a.n%len(tokens)], a.n)
	edge := a.world.edges[a.n/len(tokens)%2]
	for i := 0; pause(ctx, 300*time.Millisecond+time.Duration(a.rand.Int64N(int64(300*time.Millisecond)))); i++ {
		folder := fmt.Sprintf("/allow/r%d/", a.n)
		path, query := fmt.Sprintf("%s%d.ts", folder, i), ""
		if i%2 == 0 {
			path, query = folder+"index.m3u8", "?token="+token
		}
		got := answer{edge: edge.name, route: "allow", addr: a.addr, path: path, attack: "a ride with " + tokens[a.n%len(tokens)]}
		a.note(got.ask(edge.address, get(path+query, "curl/8"), patience))
	}
}
