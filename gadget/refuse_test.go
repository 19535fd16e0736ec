// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

var refusedPrograms = []string{"by_btf", "by_raw", "by_tracepoint"}

// spoiling returns the params with which the verifier refuses those of the programs whose bits are set.
func spoiling(t *testing.T, img *image.Image, bits uint64) map[string]image.Value {
	t.Helper()
	values := watching(t, img)
	setParam(t, img, values, "spoiled", bits)
	return values
}

// If the verifier refuses a program, its stand-in takes its place.
func TestStandInsOfRefusedPrograms(t *testing.T) {
	for _, c := range []struct {
		bits uint64
		want int
	}{
		{0b000, 0},
		{0b001, 1},
		{0b011, 2},
		{0b010, 0}, // the verifier does not check the second
	} {
		t.Run(fmt.Sprintf("%03b", c.bits), func(t *testing.T) {
			img := parse(t, "refused")
			g := start(t, img, LoadOptions{Params: spoiling(t, img, c.bits)})
			_, _, _ = unix.RawSyscall(unix.SYS_GETPGID, 1<<29, 0, 0)
			rows := drain(t, g.source(t)).rows
			if len(rows) != 1 || binary.LittleEndian.Uint32(rows[0]) != uint32(c.want) || binary.LittleEndian.Uint32(rows[0][4:]) != 1<<29 {
				t.Errorf("got % x, want one event of %s", rows, refusedPrograms[c.want])
			}
			checkRefusals(t, g.Programs(), c.want)
		})
	}
}

// checkRefusals compares the result of Programs with the program that must have been loaded.
func checkRefusals(t *testing.T, choices []Choice, loaded int) {
	t.Helper()
	for i, c := range choices {
		name := refusedPrograms[i]
		var rejected *VerifierError
		switch {
		case c.Program.Name != name || (c.Why == nil) != (i == loaded):
			t.Errorf("%s: %v", c.Program.Name, c.Why)
		case i < loaded:
			want := "program " + name + ": the kernel's verifier rejected it: "
			if !errors.As(c.Why, &rejected) || rejected.Program != name || !strings.HasPrefix(c.Why.Error(), want) || len(rejected.Log) == 0 {
				t.Errorf("%s: got %v, want %s", name, c.Why, want)
			}
		case i > loaded:
			if want := "it would stand in for " + refusedPrograms[i-1]; fmt.Sprint(c.Why) != want {
				t.Errorf("%s: got %v, want %s", name, c.Why, want)
			}
		}
	}
}

// Where the verifier refuses all of them, the error names all, and has the log of the last.
func TestAllProgramsAreRefused(t *testing.T) {
	img := parse(t, "refused")
	err := refusal(t, img, LoadOptions{Params: spoiling(t, img, 0b111)})
	mustSay(t, err, "program by_tracepoint: the kernel's verifier rejected it: ",
		"; it would have replaced a program that cannot run (program by_raw: the kernel's verifier rejected it: ",
		"; it would have replaced a program that cannot run (program by_btf: the kernel's verifier rejected it: ")
	var rejected *VerifierError
	if !errors.As(err, &rejected) || rejected.Program != "by_tracepoint" || len(rejected.Log) == 0 {
		t.Errorf("the error has the log of %+v", rejected)
	}
}

// A refused program without a stand-in is not skipped: loading fails, and the error says why.
func TestRefusedProgramWithoutStandIn(t *testing.T) {
	img := parseWith(t, "refused", disabling("by_raw", "by_tracepoint"))
	err := refusal(t, img, LoadOptions{Params: spoiling(t, img, 0b001)})
	mustSay(t, err, "program by_btf: the kernel's verifier rejected it: ")
	if strings.Contains(err.Error(), "stood in") {
		t.Error(err)
	}
}

func TestProgramOf(t *testing.T) {
	t.Parallel()
	programs := []*image.Program{{Name: "a"}, {Name: "ab"}}
	for text, want := range map[string]string{
		"program a: load program: no":        "a",
		"program ab: map x: no":              "ab",
		"program abc: load program: no":      "",
		"map a: create: no":                  "",
		"loading program a, for map b: oh":   "",
		"program a":                          "",
		"the program a: load program: never": "",
	} {
		got := ""
		if p := programOf(programs, errors.New(text)); p != nil {
			got = p.Name
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}
