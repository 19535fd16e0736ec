// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// leak takes more of what it is told 50 times a second, and writes what it has in use as the embedder does.
func leak(what string, in io.Reader, out io.Writer) error {
	var kept []any
	defer runtime.KeepAlive(&kept)
	stopped := inputEnds(in)
	var u use
	for {
		u.Runs++
		one, err := leakOne(what)
		if err != nil {
			return err
		}
		kept = append(kept, one)
		if err := u.tell(out); err != nil {
			return err
		}
		select {
		case <-stopped:
			return nil
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func leakOne(what string) (any, error) {
	switch what {
	case "memory":
		return bytes.Repeat([]byte{1}, 256<<10), nil
	case "descriptors":
		return os.Open(os.DevNull)
	case "objects":
		return ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	case "goroutines":
		go func() { select {} }()
	case "threads": // a call that waits for ever keeps a thread
		var fds [2]int
		if err := unix.Pipe(fds[:]); err != nil {
			return nil, err
		}
		go func() { _, _ = unix.Read(fds[0], make([]byte, 1)) }()
	}
	return nil, nil
}

// The test finds each kind of leak of a process, and no leak in one that has none.
func TestLeaksAreFound(t *testing.T) {
	for what, want := range map[string][]*figure{
		"nothing": nil, "memory": {&memory, &heap}, "descriptors": {&descriptors}, "objects": {&descriptors, &objects},
		"goroutines": {&goroutines}, "threads": {&descriptors, &threads, &goroutines},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newSoak(t)
			e := &embedder{s.startChild(roleLeaks, what), newEmbedderRow()}
			for s.began = time.Now(); time.Since(s.began) < 3*time.Second; time.Sleep(20 * time.Millisecond) {
				s.lookAtEmbedder(e)
			}
			found := fmt.Sprint(e.row.judge(time.Since(s.began)))
			e.endInput(t)
			for _, f := range want {
				if !strings.Contains(found, ": "+f.name+" grew from ") {
					t.Errorf("%s did not grow: %s", f.name, found)
				}
			}
			if want == nil && found != "[]" {
				t.Errorf("found %s", found)
			}
		})
	}
}

// What grows over the whole time is found, whatever the load does to it, and what only warms up or stands out is not.
func TestJudge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value func(at int) float64 // of a hundred seconds, in bounds of the figure
		grows bool
	}{
		"flat":            {func(int) float64 { return 10 }, false},
		"warms up":        {func(at int) float64 { return min(float64(at), 20) }, false},
		"saw":             {func(at int) float64 { return float64(at % 7) }, false},
		"shrinks":         {func(at int) float64 { return float64(100 - at) }, false},
		"stands out late": {func(at int) float64 { return 1000 * float64(at/99) }, false},
		"within bounds":   {func(at int) float64 { return 0.9 * float64(at/75) }, false},
		"leaks":           {func(at int) float64 { return float64(at) / 20 }, true},
		"leaking saw":     {func(at int) float64 { return float64(at%7) + float64(at)/20 }, true},
		"steps late":      {func(at int) float64 { return 1.5 * float64(at/75) }, true},
	} {
		for _, f := range figures() {
			r := newRow(name, f)
			for at := range 100 {
				r.series[f] = append(r.series[f], sample{time.Duration(at) * time.Second, c.value(at) * cmp.Or(f.more, 1) * f.unit})
			}
			if wrong := r.judge(100 * time.Second); len(wrong) > 0 != (c.grows || name == "within bounds" && f.more == 0) {
				t.Errorf("%s: %s: %v, want that it grows: %v", name, f.name, wrong, c.grows)
			}
		}
	}
	few := newRow("few", &memory)
	few.series[&memory] = []sample{{at: 30}, {at: 40}, {at: 80}, {at: 90}, {at: 99}}
	if wrong := few.judge(100); len(wrong) != 1 || !strings.Contains(wrong[0].Error(), "too few values") {
		t.Errorf("two values in a quarter: %v", wrong)
	}
}

// An account that does not match what came out or what happened is wrong.
func TestAccounts(t *testing.T) {
	t.Parallel()
	a, err := lastAccount("gizmo: open: 1 events produced, 1 delivered, 0 filtered, 0 lost\ngizmo: open: 10 events produced, 6 delivered, 3 filtered, 1 lost\n")
	if want := (account{10, 6, 3, 1}); a != want || err != nil {
		t.Errorf("got %v, %v", a, err)
	}
	if a, err := lastAccount("gizmo: open:   3 lost on CPU 0: buffer full\n"); err == nil {
		t.Errorf("got %v", a)
	}
	for _, c := range []struct {
		a           account
		lines, made int
		want        string
	}{
		{account{10, 6, 3, 1}, 6, 10, "<nil>"},
		{account{10, 6, 3, 1}, 6, unknown, "<nil>"},
		{account{11, 6, 3, 1}, 6, 11, "that does not add up"},
		{account{10, 6, 3, 1}, 5, unknown, "5 events came out"},
		{account{10, 6, 3, 1}, 6, 11, "11 events happened"},
	} {
		if got := fmt.Sprint(c.a.check(c.lines, c.made)); got != c.want {
			t.Errorf("%v, %d lines, %d made: got %q, want %q", c.a, c.lines, c.made, got, c.want)
		}
	}
}
