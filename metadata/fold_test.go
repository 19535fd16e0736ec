// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/metadata"
)

func TestKeysInAnyLetters(t *testing.T) {
	t.Parallel()
	m, err := metadata.Parse("gadget.yaml", []byte(`
NAME: x
dataSources:
  Open:
    Annotations: {Fetch-Interval: 2s}
    FIELDS: {PID: {annotations: {columns.maxWidth: 3, Template: pid, x-Mine: a}}}
params: {EBPF: {Var: {KEY: k, defaultvalue: "1"}}, custom: {c: {patch: {dataSources: {Open: {fields: {PID: {annotations: {COLUMNS.MAXWIDTH: 4}}}}}}}}}
programs: {Tick: {PERF.Type: software, Sampler: {Frequency: 9}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	open := m.Source("Open")
	if m.Name != "x" || open.Source["fetch-interval"] != "2s" || fmt.Sprint(open.Fields["PID"]) != "map[columns.maxwidth:3 template:pid x-Mine:a]" {
		t.Errorf("got %+v", m)
	}
	if p := m.Params.EBPF["Var"]; p.Key != "k" || *p.DefaultValue != "1" {
		t.Errorf("got %+v", p)
	}
	if p := m.Programs["Tick"]; p.Perf.Type != "software" || p.Sampler.Frequency != 9 {
		t.Errorf("got %+v", p)
	}
	patched, err := m.WithCustom(nil)
	if err != nil || patched.Source("Open").Fields["PID"]["columns.maxwidth"] != "4" {
		t.Errorf("with a patch: %+v, %v", patched, err)
	}
}

// Two spellings of one key are the key twice.
func TestKeysTwiceInOtherLetters(t *testing.T) {
	t.Parallel()
	_, err := metadata.Parse("gadget.yaml", []byte("dataSources: {}\ndatasources: {}\n"))
	if want := `gadget.yaml:2:1: the key "datasources" is given a second time; the first is on line 1`; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Names that differ in capitals only are those of the gadget, unless that is ambiguous.
func TestFitInAnyLetters(t *testing.T) {
	t.Parallel()
	m, err := metadata.Parse("gadget.yaml", []byte(`
datasources:
  OPEN: {fields: {proc.PID: {annotations: {columns.width: 9, columns.replace: FName}}, both: {annotations: {columns.width: 8}}}}
params: {ebpf: {Targ: {key: t}}}
programs: {TICK: {attach_to: x}}
`))
	if err != nil {
		t.Fatal(err)
	}
	known := metadata.Known{
		DataSources: map[string][]string{"open": {"proc.pid", "fname", "Both", "BOTH"}},
		Params:      []string{"targ"}, Programs: []string{"tick"},
	}
	out, err := m.Fit(known)
	if err == nil || len(metadata.Problems(err)) != 1 || !strings.Contains(err.Error(), `unknown field "both"`) {
		t.Errorf("got %v", err)
	}
	if got := fmt.Sprint(out.DataSources["open"].Fields); got != "map[proc.pid:map[columns.replace:fname columns.width:9]]" {
		t.Errorf("got %s", got)
	}
	if out.Params.EBPF["targ"].Key != "t" || out.Programs["tick"].AttachTo != "x" {
		t.Errorf("got %+v", out)
	}
}
