// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	pprofile "github.com/google/pprof/profile"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

func fn(name string) *symbol.Function { return &symbol.Function{Name: name, System: "_" + name} }

// withLines is a profile of calls of "main", in which the compiler inlined "middle", "inner" and a call whose name is unknown, and
// of "inner" as a function of its own.
func withLines(t testing.TB) *Profile {
	t.Helper()
	in := func(addresses ...uint64) *symbol.Stack {
		s := &symbol.Stack{}
		for i, a := range addresses {
			l := &symbol.Location{Module: app, Address: a, Function: fn("main")}
			if a < 0x1000 {
				l.Function = fn("inner")
			}
			if i > 0 {
				l.Address++ // a return address
			}
			s.Locations, s.Addresses = append(s.Locations, l), append(s.Addresses, l.Address)
		}
		return s
	}
	s := newSource(true, stacks{in(0x1000), in(0x800, 0x1010), in(0x1020), in(0x1030)}, nil)
	sink := New(annotation.Profile{}, 0)
	var places symbol.Places
	sink.EachStack(places.Add)
	if _, err := sink.Bind(s.Schema); err != nil {
		t.Fatal(err)
	}
	write(t, sink, s.rows(row{comm: "app", user: 1}, row{comm: "app", user: 2}, row{comm: "app", user: 3}, row{comm: "app", user: 4}))
	p := sink.Profile()
	var known symbol.Lines
	all := map[uint64][]symbol.Line{
		0x800: {{Function: fn("inner"), Start: 3, File: "/src/inner.h", Line: 4}},
		0x1000: {
			{Function: fn("inner"), Start: 3, File: "/src/inner.h", Line: 5},
			{Function: fn("middle"), Start: 10, File: "/src/\x1bapp.c", Line: 12},
			{Function: fn("plain"), Start: 20, File: "/src/app.c", Line: 25},
		},
		0x1010: {{Function: fn("plain"), Start: 20, File: "/src/app.c", Line: 30}},
		0x1020: {{File: "/src/app.c", Line: -1}, {}},
	}
	var wanted string
	for m, addresses := range places.All() {
		wanted += fmt.Sprintf("%s %#x", m.Name, addresses)
		for _, a := range addresses {
			if len(all[a]) > 0 && !known.Add(m, a, all[a]) {
				t.Error("there is no room")
			}
		}
	}
	if wanted != "/usr/bin/app [0x800 0x1000 0x1010 0x1020 0x1030]" {
		t.Errorf("the places are %s", wanted)
	}
	p.AddLines(&known)
	return p
}

// Folded stacks have a plain name for each call, inlined or not.
func TestLinesInFolded(t *testing.T) {
	t.Parallel()
	got := string(written(t, writeFolded, withLines(t)))
	if want := `app;main 1
app;main;[inlined] 1
app;main;inner 1
app;main;middle;inner 1
`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLinesInPprof(t *testing.T) {
	t.Parallel()
	p, err := pprofile.Parse(bytes.NewReader(written(t, writePprof, withLines(t))))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, l := range p.Location {
		fmt.Fprintf(&b, "%x", l.Address)
		for _, line := range l.Line {
			fmt.Fprintf(&b, " %s/%s@%s:%d(%d)", line.Function.Name, line.Function.SystemName, line.Function.Filename, line.Line, line.Function.StartLine)
		}
		b.WriteByte('\n')
	}
	if want := `800 inner/_inner@/src/inner.h:4(3)
1010 main/_main@/src/app.c:30(20)
1000 inner/_inner@/src/inner.h:5(3) middle/_middle@/src/\x1bapp.c:12(10) main/_main@/src/app.c:25(20)
1020 [inlined]/[inlined]@/src/app.c:0(0) main/_main@:0(0)
1030 main/_main@:0(0)
`; b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
	if m := p.Mapping[0]; !m.HasFunctions || !m.HasFilenames || !m.HasLineNumbers || !m.HasInlineFrames {
		t.Errorf("%+v", m)
	}
	// One without lines does not claim that it has them.
	if p, err = pprofile.Parse(bytes.NewReader(written(t, writePprof, example(t, 0)))); err != nil {
		t.Fatal(err)
	}
	for _, m := range p.Mapping {
		if !m.HasFunctions || m.HasFilenames || m.HasLineNumbers || m.HasInlineFrames {
			t.Errorf("%+v", m)
		}
	}
}

// The flame graph says of a function whether its calls are inlined.
func TestLinesInFlameGraph(t *testing.T) {
	t.Parallel()
	var got computed
	inNode(t, written(t, writeFlameGraph, withLines(t)), &got, "model.js", filepath.Join("page", "model.js"), "PAGE", "main")
	if notes, want := fmt.Sprint(got.Notes), "[[inlined] (inlined) inner (inlined in places) middle (inlined)]"; notes != want {
		t.Errorf("got %s, want %s", notes, want)
	}
}
