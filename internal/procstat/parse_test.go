// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package procstat

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	var s Stat
	text := "7 (a) (b\n) R -1 5 6 7 8 9 10 11 12 13 140 150 16 17 -51 -20 20 21 2200 9223372036854775808 24 18446744073709551615 26 27 28 29\n"
	if err := s.Parse([]byte(text)); err != nil {
		t.Fatal(err)
	}
	comm := string(s.Comm)
	s.Comm = nil
	want := fmt.Sprintf("%+v", Stat{
		State: 'R', Parent: -1, User: 140, System: 150, Priority: -51, Nice: -20, Threads: 20, Start: 2200,
		Virtual: 1 << 63, Resident: 24, StartCode: 26, StartStack: 28,
	})
	if got := fmt.Sprintf("%+v", s); comm != "a) (b\n" || got != want {
		t.Errorf("%q, %s, want %s", comm, got, want)
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	var s Stat
	if n := testing.AllocsPerRun(100, func() { err = s.Parse(text) }); n > 0 || err != nil {
		t.Errorf("%v allocations, %v", n, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("7 (a) R" + strings.Repeat(" 1", 40)))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s Stat
		if err := s.Parse(text); err == nil && len(s.Comm) > len(text)-3 {
			t.Errorf("%q has the name %q", text, s.Comm)
		}
	})
}
