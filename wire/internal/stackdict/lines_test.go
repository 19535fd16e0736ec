// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stackdict

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/symbol"
)

// someLines returns the lines of n places in two files.
func someLines(t testing.TB, n int) *symbol.Lines {
	t.Helper()
	known := new(symbol.Lines)
	modules := []*symbol.Module{{Name: "/bin/a", BuildID: "ff", Start: 0x1000, Limit: 0x9000, Offset: 0x1000}, {Name: "/bin/b"}}
	for i := range n {
		lines := []symbol.Line{
			{Function: &symbol.Function{Name: fmt.Sprint("inlined", i%100), System: "_Zinlined"}, Start: math.MaxInt32, File: "/src/a.h", Line: i},
			{Function: &symbol.Function{Name: "main", System: "main"}, Start: math.MaxInt32, File: fmt.Sprint("/src/", i%7), Line: math.MaxInt32},
			{},
		}
		if !known.Add(modules[i%2], 1<<62+uint64(i), lines[i%3:]) {
			t.Fatalf("there is no room for %d places", n)
		}
	}
	return known
}

func describeLines(known *symbol.Lines) string {
	var b strings.Builder
	for at, lines := range known.All() {
		fmt.Fprintf(&b, "%+v %x", *at.Module, at.Address)
		for _, l := range lines {
			if l.Function != nil {
				fmt.Fprintf(&b, " %+v", *l.Function)
			}
			fmt.Fprintf(&b, " %d %s:%d;", l.Start, l.File, l.Line)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestLinesRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 7, 24_000} {
		known := someLines(t, n)
		payloads, complete := EncodeLines(known, math.MaxInt)
		if !complete || n > 10_000 && len(payloads) < 2 || n == 0 && len(payloads) > 0 {
			t.Errorf("%d places: %d payloads, complete: %v", n, len(payloads), complete)
		}
		var d LineDecoder
		var got symbol.Lines
		for _, p := range payloads {
			if len(p) > 1<<20 {
				t.Errorf("a payload of %d bytes", len(p))
			}
			if err := d.Decode(p, math.MaxInt, &got); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := describeLines(&got), describeLines(known); got != want {
			t.Errorf("%d places: got\n%.2000s\nwant\n%.2000s", n, got, want)
		}
		again, _ := EncodeLines(known, math.MaxInt)
		if !bytes.Equal(bytes.Join(again, nil), bytes.Join(payloads, nil)) {
			t.Error("the bytes differ the second time")
		}
	}
}

// What the writer leaves out because of the limit is the end, and a reader with the same limit reads the rest.
func TestLimitOfLines(t *testing.T) {
	known := someLines(t, 1000)
	whole := strings.Count(describeLines(known), "\n")
	for _, limit := range []int{0, 1000, 50_000} {
		payloads, complete := EncodeLines(known, limit)
		var d LineDecoder
		var got symbol.Lines
		for _, p := range payloads {
			if err := d.Decode(p, limit, &got); err != nil {
				t.Fatal(err)
			}
			if err := new(LineDecoder).Decode(p, d.cost-1, new(symbol.Lines)); err == nil || !strings.Contains(err.Error(), "limit") {
				t.Errorf("above the limit: %v", err)
			}
		}
		n := strings.Count(describeLines(&got), "\n")
		if complete || n >= whole || limit > 0 && (d.cost > limit || d.cost < limit/2 || n == 0) {
			t.Errorf("limit %d: %d places of %d count for %d, complete: %v", limit, n, whole, d.cost, complete)
		}
	}
}

func TestDamageOfLines(t *testing.T) {
	payloads, _ := EncodeLines(someLines(t, 3), math.MaxInt)
	whole := payloads[0]
	for n := range whole {
		if err := new(LineDecoder).Decode(whole[:n], math.MaxInt, new(symbol.Lines)); err == nil {
			t.Errorf("the first %d bytes are no error", n)
		}
	}
	for what, payload := range map[string][]byte{
		"more":               append(bytes.Clone(whole), 0),
		"no module":          {0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0},
		"module 1 of 0":      {0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0},
		"no lines":           {1, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 1, 1, 1, 0},
		"function 1 of 0":    {1, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0},
		"file 1 of 0":        {1, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 0},
		"a very large line":  {1, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1},
		"many lines":         {1, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 1, 1, 1, 0x81, 2},
		"a million of files": {0, 0, 0xc0, 0x84, 0x3d},
	} {
		if err := new(LineDecoder).Decode(payload, math.MaxInt, new(symbol.Lines)); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func FuzzLines(f *testing.F) {
	payloads, _ := EncodeLines(someLines(f, 10), math.MaxInt)
	f.Add(payloads[0])
	f.Fuzz(func(t *testing.T, payload []byte) {
		const limit = 1 << 20
		var d LineDecoder
		var known symbol.Lines
		if d.Decode(payload, limit, &known) != nil {
			return
		}
		again, complete := EncodeLines(&known, limit)
		var decoder LineDecoder
		var got symbol.Lines
		for _, p := range again {
			if err := decoder.Decode(p, limit, &got); err != nil {
				t.Fatal(err)
			}
		}
		if complete && describeLines(&got) != describeLines(&known) {
			t.Errorf("got\n%s\nwant\n%s", describeLines(&got), describeLines(&known))
		}
	})
}
