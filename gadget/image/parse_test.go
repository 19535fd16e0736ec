// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
)

func TestParseTracer(t *testing.T) {
	t.Parallel()
	img := parse(t, "tracer")
	if len(img.DataSources) != 1 || len(img.Programs) != 1 {
		t.Fatalf("%d data sources and %d programs, want one of each", len(img.DataSources), len(img.Programs))
	}
	d := img.DataSources[0]
	if d.Kind != Tracer || d.Map != "events" || !d.Schema.Single || d.Schema.Name != "params" || len(d.Iterators) != 0 {
		t.Errorf("data source %+v of %+v", d, d.Schema)
	}
	if found, ok := img.DataSource("params"); !ok || found != &img.DataSources[0] {
		t.Error("DataSource does not find it")
	}
	if _, ok := img.DataSource("param"); ok {
		t.Error("DataSource finds one that is not there")
	}
	p := img.Programs[0]
	if p.Name != "gt_tracer" || p.Section != "tracepoint/syscalls/sys_enter_getpgid" || p.Target != "syscalls/sys_enter_getpgid" || p.Disabled {
		t.Errorf("program %+v", p)
	}
}

func TestParseFields(t *testing.T) {
	t.Parallel()
	var got []string
	for _, f := range parse(t, "tracer").DataSources[0].Schema.Fields {
		line := fmt.Sprintf("%s %s %d+%d", f.Name, f.Kind, f.Off, f.Size)
		if f.Count > 0 {
			line += fmt.Sprintf(" count %d", f.Count)
		}
		if f.Enum != nil {
			line += fmt.Sprintf(" %+v", *f.Enum)
		}
		got = append(got, line+" "+strings.Join(f.Types, " "))
	}
	fixture.Golden(t, "tracer.fields", got)
}

func TestParseParams(t *testing.T) {
	t.Parallel()
	img := parse(t, "tracer")
	fixture.Golden(t, "tracer.params", describeParams(img))
	if p, ok := img.Param("pid"); !ok || p.Var != "targ_pid" {
		t.Error("Param does not find a key")
	}
	if p, ok := img.Param("targ_pid"); !ok || p.Key != "pid" {
		t.Error("Param does not find a variable")
	}
	if _, ok := img.Param("pit"); ok {
		t.Error("Param finds one that is not there")
	}
}

func describeParams(img *Image) []string {
	var lines []string
	for i := range img.Params {
		p := &img.Params[i]
		line := fmt.Sprintf("%s: --%s %s default %q", p.Var, p.Key, p.Type(), p.Default)
		if p.IsBool() {
			line += " switch"
		}
		if p.Mandatory {
			line += " mandatory"
		}
		if p.OneOf != nil {
			line += fmt.Sprintf(" one of %q", p.OneOf)
		}
		if p.Description != "" {
			line += fmt.Sprintf(" (%s)", p.Description)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// The default that image.Parse finds is a value that the param's Parse accepts, and equals the
// variable's initial value.
func TestDefaultsAreValues(t *testing.T) {
	t.Parallel()
	img := parse(t, "tracer")
	for i := range img.Params {
		p := &img.Params[i]
		if p.Default == "" {
			continue
		}
		got, err := p.Parse(p.Default)
		if err != nil {
			t.Error(err)
			continue
		}
		if want := img.spec.Variables[p.Var].Value; !slices.Equal(got, want) {
			t.Errorf("%s: %q is % x, the initial value % x", p.Var, p.Default, got, want)
		}
	}
}

func TestMarkers(t *testing.T) {
	t.Parallel()
	img := parse(t, "markers")
	want := map[string]string{
		"single":  "tracer of map events, struct size 4, single",
		"counted": "map iterator of map counts, struct size 28",
		"one":     "iterator of walk_a, struct size 16",
		"two":     "iterator of walk_a walk_b, struct size 16",
		"three":   "iterator of walk_a walk_b walk_c, struct size 16",
		"renamed": "iterator of walk_b, struct size 16",
		"older":   "iterator of walk_c, struct size 16",
	}
	for _, d := range img.DataSources {
		got := d.Kind.String() + " of " + strings.Join(d.Iterators, " ")
		if d.Map != "" {
			got += "map " + d.Map
		}
		got += fmt.Sprintf(", struct size %d", d.Schema.Size)
		if d.Schema.Single {
			got += ", single"
		}
		if got != want[d.Schema.Name] {
			t.Errorf("%s: got %s, want %s", d.Schema.Name, got, want[d.Schema.Name])
		}
		delete(want, d.Schema.Name)
	}
	if len(want) > 0 {
		t.Error("missing:", want)
	}
	if len(img.Params) > 0 {
		t.Errorf("params %+v from what is none", img.Params)
	}
}

func TestMapIteratorHasFieldsOfKeyAndValue(t *testing.T) {
	t.Parallel()
	d, ok := parse(t, "markers").DataSource("counted")
	if !ok {
		t.Fatal("missing")
	}
	var got []string
	for _, f := range d.Schema.Fields {
		got = append(got, fmt.Sprintf("%s %s at %d", f.Name, f.Kind, f.Off))
	}
	if want := []string{"pid uint at 0", "comm string at 4", "count uint at 20"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDisabledPrograms(t *testing.T) {
	t.Parallel()
	img := parseWith(t, "markers", "name: m\nprograms:\n  on:\n    attach_to: gadget_program_disabled\n  walk_a:\n    attach_to: file\n")
	for _, p := range img.Programs {
		if want := p.Name == "on" || p.Name == "off_by_section"; p.Disabled != want {
			t.Errorf("%s: disabled %v, want %v", p.Name, p.Disabled, want)
		}
		if p.Name == "walk_a" && p.Target != "file" {
			t.Errorf("attach_to changed the target to %q, want file", p.Target)
		}
	}
}

func TestMetadataIsApplied(t *testing.T) {
	t.Parallel()
	r := fixture.Compile(t, "tracer")
	img, err := parseObject(r.Object, string(r.Metadata))
	if err != nil {
		t.Fatal(err)
	}
	fixture.Golden(t, "tracer.yaml.params", describeParams(img))
	d := img.DataSources[0]
	if got := d.Settings.Description; got != "What the params were" {
		t.Errorf("description %q", got)
	}
	if got := d.Annotations.Fields["proc.pid"]["description"]; got != "The process" {
		t.Errorf("field's description %q", got)
	}
	last := d.Schema.Fields[len(d.Schema.Fields)-1]
	i, _ := d.Schema.Lookup("rest_len")
	length := d.Schema.Fields[i]
	want := event.Field{Name: "tail", Rest: true, Off: d.Schema.Size, LenOff: length.Off, LenSize: 2, Parent: event.NoParent}
	if last.Name != want.Name || !last.Rest || last.Off != want.Off || last.LenOff != want.LenOff || last.LenSize != want.LenSize || last.Parent != want.Parent {
		t.Errorf("trailing data %+v, want %+v", last, want)
	}
	if img.Metadata.Description != "Tells its params" {
		t.Errorf("metadata %+v", img.Metadata)
	}
}

// An author can give a text no default although the variable has an initial value.
func TestEmptyDefault(t *testing.T) {
	t.Parallel()
	img := parseWith(t, "tracer", "params:\n  ebpf:\n    param_text:\n      defaultValue: \"\"\n    param_u8:\n      defaultValue: \"\"\n")
	spec := img.spec.Copy()
	if err := img.setParams(spec, nil); err != nil {
		t.Fatal(err)
	}
	if got := spec.Variables["param_text"].Value; !slices.Equal(got, make([]byte, 9)) {
		t.Errorf("text: %q", got)
	}
	if got := spec.Variables["param_u8"].Value[0]; got != 200 {
		t.Errorf("u8: %d; no number is empty, so the initial value stays", got)
	}
}

func TestParamsSizeMaps(t *testing.T) {
	t.Parallel()
	img := parse(t, "tracer")
	for _, c := range []struct {
		text string
		want uint32
	}{{"", 10}, {"77", 77}, {"0", 1}} { // the variable's initial value, the user's, the map's own
		values := make(map[string]Value)
		if c.text != "" {
			p, _ := img.Param("seen_max_entries")
			v, err := p.Parse(c.text)
			if err != nil {
				t.Fatal(err)
			}
			values[p.Var] = v
		}
		spec := img.spec.Copy()
		if err := img.setParams(spec, values); err != nil {
			t.Fatal(err)
		}
		if got := spec.Maps["seen"].MaxEntries; got != c.want {
			t.Errorf("%q: %d entries, want %d", c.text, got, c.want)
		}
	}
}

func TestParamsCannotSizeMapsAbsurdly(t *testing.T) {
	t.Parallel()
	img := parse(t, "tracer")
	for name, field := range map[string]event.Field{
		"map \"seen\" cannot have -1 entries":         {Kind: event.Int, Size: 4},
		"map \"seen\" cannot have 4294967296 entries": {Kind: event.Uint, Size: 8},
	} {
		p := Param{Var: "seen_max_entries", field: field}
		value := Value{0xff, 0xff, 0xff, 0xff}
		if field.Size == 8 {
			value = Value{0, 0, 0, 0, 1, 0, 0, 0}
		}
		if err := p.sizeMap(img.spec.Copy(), value); err == nil || err.Error() != name {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}
