package state

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/altagate/altagate/pkg/session"
)

// random gives n of all sessions, with ids as they really are: random.
func random(all []session.Record, n int) []session.Record {
	chosen := make([]session.Record, n)
	for i := range chosen {
		chosen[i] = all[rand.IntN(len(all))]
	}
	return chosen
}

func BenchmarkSave(b *testing.B) {
	for _, kept := range []int{10_000, 250_000} {
		path := filepath.Join(b.TempDir(), "state")
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		all := viewings(0, kept)
		for i := range all {
			for j := range all[i].ID {
				all[i].ID[j] = byte(rand.Uint32())
			}
		}
		for i := 0; i < kept; i += 5000 {
			if err := f.Save(all[i:min(i+5000, kept)], nil); err != nil {
				b.Fatal(err)
			}
		}
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		for _, n := range []int{1, 100, 10_000} {
			b.Run(fmt.Sprintf("kept=%d/changed=%d", kept, n), func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					changed := random(all, n)
					b.StartTimer()
					if err := f.Save(changed, nil); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(info.Size())/float64(kept), "B/record")
			})
		}
		b.Run(fmt.Sprintf("kept=%d/restart", kept), func(b *testing.B) {
			for b.Loop() {
				if err := f.Close(); err != nil {
					b.Fatal(err)
				}
				if f, err = Open(path); err != nil {
					b.Fatal(err)
				}
				if records, _, _, err := f.Load(); len(records) != kept || err != nil {
					b.Fatal(len(records), err)
				}
			}
		})
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
