// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var preferPrograms = []string{"by_fentry", "by_kprobe", "by_tracepoint"}

// Of three programs for the same events the best that the kernel can run reports them, once.
func TestPreferTakesTheBest(t *testing.T) {
	has := offers(t)
	for _, c := range []struct {
		name  string
		yaml  string
		spoil []string // programs whose function is not there
	}{
		{name: "as they are"},
		{name: "a function is missing", spoil: []string{"by_fentry"}},
		{name: "two functions are missing", spoil: []string{"by_fentry", "by_kprobe"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			yaml := "name: test\nprograms:\n"
			able := map[string]bool{"by_fentry": has.trampolines, "by_kprobe": has.kprobes, "by_tracepoint": true}
			for _, p := range c.spoil {
				yaml += "  " + p + ": {attach_to: no_such_function}\n"
				able[p] = false
			}
			want := 0
			for !able[preferPrograms[want]] {
				want++
			}
			img := parseWith(t, "prefer", yaml)
			g := start(t, img, LoadOptions{Params: watching(t, img)})
			_, _, _ = unix.RawSyscall(unix.SYS_GETPGID, 1<<29, 0, 0)
			rows := drain(t, g.source(t)).rows
			if len(rows) != 1 || binary.LittleEndian.Uint32(rows[0]) != uint32(want) || binary.LittleEndian.Uint32(rows[0][4:]) != 1<<29 {
				t.Errorf("got % x, want one event of %s", rows, preferPrograms[want])
			}
			checkChoices(t, g.Programs(), want)
		})
	}
}

// checkChoices compares the result of Programs with the program that must have been chosen.
func checkChoices(t *testing.T, choices []Choice, chosen int) {
	t.Helper()
	if len(choices) != len(preferPrograms) {
		t.Fatalf("%d programs", len(choices))
	}
	for i, c := range choices {
		if c.Program.Name != preferPrograms[i] || (c.Why == nil) != (i == chosen) {
			t.Errorf("%s: %v", c.Program.Name, c.Why)
		}
		why := fmt.Sprint(c.Why)
		switch {
		case i < chosen:
			if !strings.HasPrefix(why, "program "+c.Program.Name+": ") || !strings.Contains(why, "this kernel ") {
				t.Errorf("%s: %s", c.Program.Name, why)
			}
		case i > chosen:
			if want := "it would stand in for " + preferPrograms[i-1]; why != want {
				t.Errorf("%s: got %s, want %s", c.Program.Name, why, want)
			}
		}
		t.Log(c.Program.Name, c.Why)
	}
}

// Where none of them runs, the error names all.
func TestPreferWithoutAny(t *testing.T) {
	yaml := "name: test\nprograms:\n"
	for _, p := range preferPrograms {
		yaml += "  " + p + ": {attach_to: no_such_thing}\n"
	}
	err := refusal(t, parseWith(t, "prefer", yaml), LoadOptions{})
	mustSay(t, err, "program by_tracepoint: this kernel has no BTF tracepoint no_such_thing",
		"program by_kprobe: kprobe/no_such_thing: this kernel ", "program by_fentry: fentry/no_such_thing: this kernel ")
}

func TestProgramsTellsOfDisabledOnes(t *testing.T) {
	img := parseWith(t, "prefer", disabling("by_fentry", "by_kprobe"))
	g := load(t, img, LoadOptions{Params: watching(t, img)})
	var got []string
	for _, c := range g.Programs() {
		got = append(got, fmt.Sprint(c.Program.Name, ": ", c.Why))
	}
	want := "by_fentry: it is disabled, by_kprobe: it is disabled, by_tracepoint: <nil>"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("got %s, want %s", text, want)
	}
}
