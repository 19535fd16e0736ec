// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// sampled returns a profile of one function, as it comes from this machine.
func sampled(name string) *profile.Profile {
	f := &profile.Function{ID: 1, Name: name, SystemName: name, Filename: "/home/someone/main.go", StartLine: 10}
	m := &profile.Mapping{ID: 1, File: "/tmp/some.test", BuildID: "id"}
	l := &profile.Location{ID: 1, Mapping: m, Address: 0x1234, Line: []profile.Line{{Function: f, Line: 12}}}
	return &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}},
		PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 1, TimeNanos: 99,
		Function: []*profile.Function{f}, Mapping: []*profile.Mapping{m}, Location: []*profile.Location{l},
		Sample: []*profile.Sample{{Location: []*profile.Location{l}, Value: []int64{5}}},
	}
}

// wantAnonymous checks that a profile says nothing about the machine.
func wantAnonymous(t *testing.T, p *profile.Profile) {
	t.Helper()
	if len(p.Mapping) != 0 || len(p.Comments) != 0 || p.TimeNanos != 0 {
		t.Errorf("it has mappings %v, comments %v, a time of %d", p.Mapping, p.Comments, p.TimeNanos)
	}
	for _, f := range p.Function {
		if f.Filename != "" {
			t.Errorf("%s has the file name %s", f.Name, f.Filename)
		}
	}
}

// The compiler finds a function by its name, and a line by its distance from the function's first.
func TestMerge(t *testing.T) {
	t.Parallel()
	p, err := merge([]*profile.Profile{sampled("a.F"), sampled("b.G"), sampled("a.F")})
	if err != nil {
		t.Fatal(err)
	}
	wantAnonymous(t, p)
	counts := make(map[string]int64)
	for _, s := range p.Sample {
		line := s.Location[0].Line[0]
		if line.Line != 12 || line.Function.StartLine != 10 {
			t.Errorf("%s: line %d of a function that starts at %d", line.Function.Name, line.Line, line.Function.StartLine)
		}
		counts[line.Function.Name] += s.Value[0]
	}
	if counts["a.F"] != 10 || counts["b.G"] != 5 {
		t.Errorf("the samples are %v", counts)
	}
}

// The profile that gizmo is built with is of all packages that this command measures.
func TestCommittedProfile(t *testing.T) {
	t.Parallel()
	f, err := os.Open("../../cmd/gizmo/default.pgo")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	wantAnonymous(t, p)
	for _, part := range parts {
		found := false
		for _, f := range p.Function {
			found = found || strings.HasPrefix(f.Name, "github.com/gizmo-ebpf/gizmo/"+part.pkg)
		}
		if !found {
			t.Errorf("it has nothing of package %s: make profile", part.pkg)
		}
	}
}
