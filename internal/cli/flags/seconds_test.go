// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"strings"
	"testing"
	"time"
)

func TestSeconds(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
	}{
		{"0", 0},
		{"1", time.Second},
		{"0.25", 250 * time.Millisecond},
		{"1e3", 1000 * time.Second},
		{"3600", time.Hour},
		{"1s", time.Second},
		{"1m30s", 90 * time.Second},
		{"150ms", 150 * time.Millisecond},
		{"2h", 2 * time.Hour},
	} {
		var s Seconds
		if err := s.Set(c.text); err != nil || time.Duration(s) != c.want {
			t.Errorf("%q: %v, %v; want %v", c.text, time.Duration(s), err, c.want)
		}
		if s.String() != c.want.String() {
			t.Errorf("%q: prints %s", c.text, &s)
		}
	}
}

func TestSecondsRejects(t *testing.T) {
	for _, text := range []string{"", "x", "1x", "-1", "-1s", "NaN", "Inf", "-Inf", "1e300", "1 s", "1,5"} {
		s := Seconds(time.Minute)
		if err := s.Set(text); err == nil || !strings.Contains(err.Error(), "want a number of seconds or a duration like 1m30s, got \""+text+"\"") {
			t.Errorf("%q: %v", text, err)
		}
		if time.Duration(s) != time.Minute {
			t.Errorf("%q: changed the value to %v", text, &s)
		}
	}
}
