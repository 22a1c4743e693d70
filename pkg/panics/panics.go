// Package panics tells of a panic that was recovered from, for the log.
package panics

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// Error says what panicked and where. It is called in the deferred function that
// recovered value. Of a value that is not the runtime's own it shows the type
// alone, for its text could hold what a viewer sent.
func Error(value any) error {
	if err, ok := value.(runtime.Error); ok {
		return fmt.Errorf("panic in %s: %w", place(), err)
	}
	return fmt.Errorf("panic in %s with a %T", place(), value)
}

// place is where the panic began that is being recovered from: the first frame
// outside the runtime below the panic.
func place() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	panicking := false
	for {
		f, more := frames.Next()
		own := strings.HasPrefix(f.Function, "runtime.")
		if panicking && !own || !more {
			return fmt.Sprintf("%s (%s:%d)", f.Function, filepath.Base(f.File), f.Line)
		}
		panicking = panicking || f.Function == "runtime.gopanic"
	}
}
