// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const outputHere = `    gadgets_test.go:33: hooks of a: tp_btf/x, raw_tp/y
    gadgets_test.go:25: hooks of b: kprobe/f
--- FAIL: TestGadgets (0.22s)
    --- PASS: TestGadgets/a (8.78s)
        --- PASS: TestGadgets/a/live (7.84s)
        --- PASS: TestGadgets/b/refused (0.10s)
        --- PASS: TestGadgets/c/refused (0.10s)
        --- FAIL: TestGadgets/d/live (0.10s)
        --- PASS: TestGadgets/e/live (0.10s)
`

const outputThere = `        --- PASS: TestGadgets/a/live (7.84s)
        --- PASS: TestGadgets/b/live (7.84s)
        --- PASS: TestGadgets/c/refused (0.10s)
        --- PASS: TestGadgets/d/live (0.10s)
`

// Each gadget has to be tried on both kernels, and to run on at least one.
func TestCoverage(t *testing.T) {
	c := newCoverage()
	for kernel, text := range map[string]string{"6.18": outputHere, "6.1": outputThere} {
		w := c.kernel(kernel)
		for part := range strings.SplitAfterSeq(text, "s") { // lines come in pieces
			fmt.Fprint(w, part)
		}
	}
	for gadgets, want := range map[string]string{
		"a b": "",
		"a c": "c: has not run on any",
		"d":   "d: has not passed its test on kernel 6.18",
		"e":   "e: has not passed its test on kernel 6.1",
		"f":   "f: has not run on any",
		"":    "there are no gadgets",
	} {
		err := c.check(strings.Fields(gadgets))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", gadgets, err, want)
		}
	}
	var out strings.Builder
	c.print(&out, []string{"a", "b", "d"})
	for _, want := range []string{"tp_btf, raw_tp", "refused, without kprobe", "FAILED"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &out)
		}
	}
	file := filepath.Join(t.TempDir(), "page.md")
	if err := c.writeInto(file, nil); err == nil {
		t.Error("a page that is not there is written")
	}
	if err := os.WriteFile(file, []byte("# Head\n"+beforeTable+"old\n"+afterTable+"tail\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := c.writeInto(file, []string{"a", "b", "d"}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	if !strings.HasPrefix(page, "# Head\n"+beforeTable+"| gadget |") || !strings.HasSuffix(page, "|\n"+afterTable+"tail\n") || strings.Contains(page, "old") {
		t.Errorf("the page around the table is not what it was:\n%s", page)
	}
	for _, want := range []string{" `tp_btf/x`, `raw_tp/y` |", " refused: the kernel lacks `kprobe/f` |", " not tested |"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}

func TestShownLines(t *testing.T) {
	var out strings.Builder
	l := &lab{options: new(options), out: &out}
	fmt.Fprint(l.shown(), "=== RUN   TestA\n=== CONT  TestA\n    a_test.go:1: said\n--- PASS: TestA (0.00s)\n")
	if want := "    a_test.go:1: said\n--- PASS: TestA (0.00s)\n"; out.String() != want {
		t.Errorf("got %q", out.String())
	}
}

func TestSlowTestsAreTold(t *testing.T) {
	var s slow
	fmt.Fprint(s.writer(), "--- PASS: TestA (9.90s)\n--- FAIL: TestB (12.34s)\n    --- PASS: TestB/c (99.00s)\n--- PASS: TestD (40.00s)\n")
	var out strings.Builder
	s.report(&out)
	if want := "# slow: TestD, 40 s\n# slow: TestB, 12 s\n"; out.String() != want {
		t.Errorf("got %q", out.String())
	}
}
