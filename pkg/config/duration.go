package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// span is the times that a key takes: least to most, both included.
type span struct {
	least, most time.Duration
	// example shows one or two.
	example string
}

func graceSpan() span { return span{0, MaxGrace, "10m or 24h"} }

// ParseGrace reads what stands under grace, for a flag of that name. The error
// goes after the name.
func ParseGrace(text string) (time.Duration, error) { return graceSpan().parse(text) }

// duration reads a time with its unit. It is false if there is one and it is
// wrong; into keeps what it has then, and if there is none.
func (v value) duration(s span, into *time.Duration) bool {
	if !v.present() {
		return true
	}
	v, ok := v.resolve()
	if !ok {
		return false
	}
	if v.node.Kind != yaml.ScalarNode {
		v.wrong("is %s, and must be a time such as %s", kind(v.node), s.example)
		return false
	}
	d, err := s.parse(v.node.Value)
	if err != nil {
		v.wrong("%v", err)
		return false
	}
	*into = d
	return true
}

func (s span) parse(text string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, fmt.Errorf("has no unit: write %ss if seconds are meant", text)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%s is not a time: write a number and a unit without a space, as in %s", quote(text), s.example)
	}
	if d < s.least || d > s.most {
		return 0, fmt.Errorf("must be %s and at most %s", s.from(), inUnits(s.most))
	}
	return d, nil
}

func (s span) from() string {
	if s.least == time.Nanosecond {
		return "more than 0"
	}
	return "at least " + inUnits(s.least)
}

// inUnits is a time as people write it: 60s, 10m, 24h.
func inUnits(d time.Duration) string {
	if d <= time.Minute {
		return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
	}
	text := strings.TrimSuffix(d.String(), "m0s")
	if text == d.String() {
		return text
	}
	if hours, whole := strings.CutSuffix(text, "h0"); whole {
		return hours + "h"
	}
	return text + "m"
}
