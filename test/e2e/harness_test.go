// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// The tests of this file test the functions that the other tests rely on.

func TestHarnessFindsMissingHooks(t *testing.T) {
	t.Parallel()
	// a is the best of three; b and c stand in for it, and e for c as well as for d. The gadget does without g.
	g := &gadgetHooks{standIns: map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"e"}, "d": {"e"}}}
	for _, name := range strings.Fields("a b c d e f") {
		g.hooks = append(g.hooks, hook{program: name, kind: "k", target: name})
	}
	g.hooks = append(g.hooks, hook{program: "g", kind: "k", target: "g", optional: true})
	for offered, want := range map[string]string{
		"a b c d e f": "",
		"a d f":       "",
		"c d f":       "",
		"e f":         "",
		"e":           "k/f",
		"a b c f":     "k/d",
		"d f":         "k/a b c",
		"":            "k/a b c d e and 1 more",
	} {
		missing := g.missing(func(h hook) bool { return slices.Contains(strings.Fields(offered), h.target) })
		if got := summary(missing); got != want {
			t.Errorf("with %q: missing %q, want %q", offered, got, want)
		}
	}
}

func TestHarnessReadsFlags(t *testing.T) {
	t.Parallel()
	got := flagsOf([]string{"--paths", "--pid", "12", "-o", "json", "--min=3", "--off=false", "--last"})
	want := map[string]string{"paths": "true", "pid": "12", "min": "3", "off": "false", "last": "true"}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Rows are matched so that as many as possible find a partner, whatever came first.
func TestHarnessAssignsRows(t *testing.T) {
	t.Parallel()
	for fits, want := range map[string]string{
		"ab a":    "ba",
		"abc a b": "cab",
		"a a":     "a-",
		"- a":     "-a",
		"a b":     "ab",
	} {
		rows := strings.Fields(fits)
		var got []byte
		for _, j := range assign(len(rows), 3, func(i, j int) bool { return strings.IndexByte(rows[i], byte('a'+j)) >= 0 }) {
			got = append(got, "-abc"[j+1])
		}
		if string(got) != want {
			t.Errorf("%q: %q, want %q", fits, got, want)
		}
	}
}

func TestHarnessFlattensArrays(t *testing.T) {
	t.Parallel()
	o := parseOutput(t, "[{\"a\":1},{\"a\":2}]\n[]\n[{\"a\":18446744073709551615}]\n")
	if !o.arrays || len(o.rows) != 3 || o.rows[2].get("a") != "18446744073709551615" {
		t.Errorf("got %+v", o)
	}
	if o = parseOutput(t, "{\"a\":{\"b\":\"x\"}}\n"); o.arrays || len(o.rows) != 1 || o.rows[0].get("a.b") != "x" {
		t.Errorf("got %+v", o)
	}
}
