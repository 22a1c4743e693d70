package gate

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/limit"
)

func TestWhatIsTurnedAwayIsReportedOnceAMinuteForEachBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reported turnedAway
		n := 0
		for second := range 150 {
			for _, err := range []error{limit.ErrRate, fmt.Errorf("%w: deadline %d", limit.ErrQueue, second)} {
				reported.report("portal", netip.Addr{}, err, func(check.Event) { n++ })
			}
			<-time.After(time.Second)
		}
		if n != 6 {
			t.Errorf("reported %d times in 150 seconds, want three times for each of two bounds", n)
		}
	})
}
