package panics_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/altagate/altagate/pkg/panics"
)

func recovered(f func()) (err error) {
	defer func() { err = panics.Error(recover()) }()
	f()
	return nil
}

func TestAPanicShowsItsPlaceAndNoTextThatCouldBeAViewers(t *testing.T) {
	for name, tt := range map[string]struct {
		panics func()
		want   string
	}{
		"a text":      {func() { panic("token=s3cret") }, " with a string"},
		"an error":    {func() { panic(errors.New("token=s3cret")) }, " with a *errors.errorString"},
		"the runtime": {func() { _ = make([]int, 0)[len("s3cret")] }, "index out of range [6] with length 0"},
	} {
		got := recovered(tt.panics).Error()
		if !strings.HasPrefix(got, "panic in github.com/altagate/altagate/pkg/panics_test.TestAPanic") ||
			!strings.Contains(got, "(panics_test.go:") || !strings.HasSuffix(got, tt.want) || strings.Contains(got, "s3cret") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
