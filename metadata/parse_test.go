// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

func TestParse(t *testing.T) {
	t.Parallel()
	m, err := Parse("gadget.yaml", inputs(t, "valid")["testdata/valid/full.yaml"])
	if err != nil {
		t.Fatal(err)
	}
	source, err := m.Source("sockets").ParseSource()
	if err != nil {
		t.Fatal(err)
	}
	if !source.ClearScreen || source.Metrics.Print || source.FetchInterval == nil || *source.FetchInterval != 90*time.Second {
		t.Errorf("data source: got %+v", source)
	}
	if got := m.Source("last").Fields["proc.comm"]["columns.width"]; got != "020" {
		t.Errorf("annotations should stay as they were written, got %q", got)
	}
	if spec := m.Source("no such"); spec == nil || len(spec.Fields) != 0 {
		t.Errorf("a data source without metadata: got %v", spec)
	}
	p := m.Params.EBPF["targ_pid"]
	if p.DefaultValue == nil || *p.DefaultValue != "0" || !p.IsMandatory || p.PossibleValues[3] != "0x4" {
		t.Errorf("param: got %+v", p)
	}
	if p := m.Params.EBPF["with_nothing"]; p.DefaultValue != nil {
		t.Errorf("a default value out of nothing: %q", *p.DefaultValue)
	}
	if c := m.Params.Custom["mode"]; c.Description != "How to count" || c.Values["all"].Patch == nil || c.Values["none"].Patch != nil {
		t.Errorf("custom param: got %+v", c)
	}
	if got := m.Programs["dotted"]; got.Perf != (Perf{Type: "hardware", Config: "cycles"}) || got.Sampler.Frequency != 99 {
		t.Errorf("dotted spelling: got %+v", got)
	}
	if len(m.Operator.Content) != 8 || len(m.Annotations) != 2 {
		t.Errorf("free-form parts: got %v, %v", m.Operator.Content, m.Annotations)
	}
}

func TestParseUnknownOnly(t *testing.T) {
	t.Parallel()
	m, err := Parse("gadget.yaml", inputs(t, "invalid")["testdata/invalid/unknown-only.yaml"])
	if err == nil || m == nil {
		t.Fatalf("want both metadata and an error, got %v, %v", m, err)
	}
	problems := Problems(fmt.Errorf("image: %w", err))
	if len(problems) != 2 {
		t.Fatalf("got %d problems in %v", len(problems), err)
	}
	for _, p := range problems {
		if !p.Unknown() {
			t.Errorf("%v: should count as unknown", p)
		}
	}
	want := annotation.Set{"columns.width": "20", "columns.maxwidth": "12", "flamegraph.level": "10"}
	if got := m.Source("samples").Fields["comm"]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("what is left: got %v, want %v", got, want)
	}
	if _, err := m.Source("samples").ParseSource(); err != nil {
		t.Errorf("what is left should be usable: %v", err)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	if got := Problems(nil); got != nil {
		t.Errorf("nil: got %v", got)
	}
	if got := Problems(errors.New("x")); got != nil {
		t.Errorf("another error: got %v", got)
	}
	_, err := Parse("a.yaml", []byte("name: [a]\nfoo: x\n"))
	problems := Problems(err)
	if len(problems) != 2 || problems[0].Unknown() || !problems[1].Unknown() || problems[1].Pos != (Pos{2, 1}) || problems[1].File != "a.yaml" {
		t.Errorf("got %v", problems)
	}
	if got := (&Problem{Err: errors.New("x")}).Error(); got != "x" {
		t.Errorf("without a place: got %q", got)
	}
}

// TestLimits has files that would cost much time or memory without limits.
func TestLimits(t *testing.T) {
	t.Parallel()
	const full = maxSize / 4 // enough to show costs that grow faster than the file
	tests := []struct{ name, text, want string }{
		{"large", strings.Repeat("#", maxSize+1), "at most 1048576 are read"},
		{"nested lists", strings.Repeat("[", full), "exceeded max depth"},
		{"nested mappings", "operator: " + strings.Repeat("{a: ", full/4), "exceeded max depth"},
		{"nested lines", strings.Repeat("- ", full/2), "exceeded max depth"},
		{"nested to the library's limit", "operator: {a: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}", "more than 32"},
		{"unknown keys", lines("k%06d: x\n", full/11), "and 23731 more problems"},
		{"unknown fields", "datasources:\n x:\n  fields:\n" + lines("   k%06d: x\n", full/14), "more problems"},
		{"long key", strings.Repeat("k", full) + ": x", "mapping values are not allowed"},
		{"long unknown key", "? " + strings.Repeat("k", full) + "\n: x", "unknown key"},
		{"long value", "datasources: {x: {annotations: {fetch-count: " + strings.Repeat("9", full) + "}}}", "is not a whole number"},
		{"same key", strings.Repeat("a: x\n", full/5), "second time"},
		{"aliases", "a: &a [x]\nname: [" + strings.Repeat("*a,", full/3) + "]", "more than 65536 values"},
		{"broken at the end", lines("k%06d: x\n", full/11) + "\t", "tab"},
		{"broken at the start", "a: b: c\n" + strings.Repeat("\n", full), "not allowed"},
		{"lines of nothing", strings.Repeat("\n", full) + "@", "cannot start"},
		{"question marks", strings.Repeat("? ", full/2), "not valid YAML"},
		{"comments", strings.Repeat("#\n", full/2) + "@", "cannot start"},
		{"comments between", strings.Repeat("#\na: x\n", full/7), "second time"},
		{"quotes", "\"" + strings.Repeat("\n", full), "end of stream"},
		{"documents", strings.Repeat("---\n", full/4), "second document"},
	}
	for _, test := range tests {
		start := time.Now()
		_, err := Parse("gadget.yaml", []byte(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %.200v, want %q", test.name, err, test.want)
			continue
		}
		if n := len(err.Error()); n > 100*200 {
			t.Errorf("%s: a message of %d bytes", test.name, n)
		}
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%s: took %v", test.name, d)
		} else {
			t.Logf("%s: %v", test.name, d)
		}
	}
}

// lines repeats a format with a number in it.
func lines(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func FuzzParse(f *testing.F) {
	for _, folder := range []string{"valid", "invalid"} {
		for _, data := range inputs(f, folder) {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse("gadget.yaml", data)
		if err == nil {
			roundTrip(t, m)
			m.Validate(Known{})
			return
		}
		total := bytes.Count(data, []byte("\n")) + 1
		problems := Problems(err)
		if len(problems) == 0 {
			t.Fatalf("an error without a problem: %v", err)
		}
		for i, p := range problems {
			if p.Pos.Line < 1 || p.Pos.Column < 1 || p.Pos.Line > total && !bytes.ContainsAny(data, "\r\u0085\u2028\u2029") {
				t.Errorf("%v: no such place among %d lines", p, total)
			}
			if i > 0 && p.Pos.Line < problems[i-1].Pos.Line {
				t.Errorf("%v: out of order", p)
			}
			if strings.ContainsFunc(p.Error(), func(r rune) bool { return r < ' ' }) {
				t.Errorf("%q: control characters in a message", p.Error())
			}
		}
		if m != nil {
			roundTrip(t, m)
		}
	})
}
