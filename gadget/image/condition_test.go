// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/metadata"
)

func TestConditionsDisableProgramsThatNoParamWants(t *testing.T) {
	t.Parallel()
	const secondIsOff = "params: {ebpf: {second: {defaultValue: false}, first: {key: the-first}}}"
	for _, c := range []struct{ yaml, set, want string }{ // those in brackets may be left out
		{"", "", "b"},
		{"", "first=1", "a b"},
		{"", "all=1", "a b (d)"},
		{"", "second=0 first=1", "a"},
		{"", "second=0 all=1", "a (b) (d)"},
		{"", "second=0", "the gadget needs one or more of its params all, first, second"},
		{secondIsOff, "", "the gadget needs one or more of its params all, second, the-first"},
		{secondIsOff, "second=1", "b"},
		{"programs: {b: {attach_to: gadget_program_disabled}}", "", "the gadget needs"},
	} {
		img := parseWith(t, "conditions", c.yaml)
		values := make(map[string]Value)
		for _, set := range strings.Fields(c.set) {
			variable, value, _ := strings.Cut(set, "=")
			values[variable] = Value{value[0] - '0'}
		}
		before := enabled(img)
		with, err := img.WithParams(values)
		if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && enabled(with) != c.want {
			t.Errorf("%q with %q: got %v, %v, want %q", c.yaml, c.set, with, err, c.want)
		}
		if after := enabled(img); after != before {
			t.Errorf("%q has changed the image itself: its programs were %q and are %q", c.set, before, after)
		}
	}
}

func enabled(img *Image) string {
	var names []string
	for i := range img.Programs {
		switch p := &img.Programs[i]; {
		case p.Optional:
			names = append(names, "("+p.Name+")")
		case !p.Disabled:
			names = append(names, p.Name)
		}
	}
	return strings.Join(names, " ")
}

// A data source may depend on a param: on its being set, or not.
func TestParamsChooseDataSources(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		onlyIf string
		value  byte // of second, which is set unless the user says otherwise
		want   int
	}{
		{"second", 1, 1}, {"second", 0, 0}, {"\"!second\"", 1, 0}, {"\"!second\"", 0, 1},
	} {
		img := parseWith(t, "conditions", "datasources: {t: {annotations: {only-if: "+c.onlyIf+"}}}")
		with, err := img.WithParams(map[string]Value{"first": {1}, "second": {c.value}})
		if err != nil {
			t.Fatal(err)
		}
		if len(with.DataSources) != c.want || len(img.DataSources) != 1 {
			t.Errorf("%s with %d: %d data sources, want %d; the image itself has %d", c.onlyIf, c.value, len(with.DataSources), c.want, len(img.DataSources))
		}
	}
}

func TestDataSourcesDependOnBools(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ object, onlyIf, want string }{
		{"conditions", "secnd", `gadget.yaml: data source "t": only-if: the gadget has no param variable "secnd"; did you mean "second"?`},
		{"conditions", "\"!hidden\"", `only-if: the gadget has no param variable "hidden"`},
		{"tracer", "param_u32", `only-if: "param_u32" is not a bool`},
	} {
		name := map[string]string{"conditions": "t", "tracer": "params"}[c.object]
		meta, err := metadata.Parse("gadget.yaml", []byte("name: x\ndatasources: {"+name+": {annotations: {only-if: "+c.onlyIf+"}}}"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parse(t, c.object).WithMetadata(meta); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.onlyIf, err, c.want)
		}
	}
}

// The unit of a metric may depend on a param.
func TestParamsChooseUnits(t *testing.T) {
	t.Parallel()
	const yaml = "datasources: {t: {fields: {pid: {annotations: {metrics.unit: µs, metrics.unit-with: second=ms}}}}}"
	img := parseWith(t, "conditions", yaml)
	for value, want := range map[byte]string{0: "µs", 1: "ms"} {
		sources := img.SourcesWith(map[string]Value{"second": {value}})
		if got := sources[0].Annotations.Fields["pid"]["metrics.unit"]; got != want {
			t.Errorf("with %d: the unit is %q, want %q", value, got, want)
		}
	}
	if got := img.DataSources[0].Annotations.Fields["pid"]["metrics.unit"]; got != "µs" {
		t.Errorf("the unit of the image itself is %q", got)
	}
	for with, want := range map[string]string{
		"secnd=ms": `gadget.yaml: data source "t": field "pid": metrics.unit-with: the gadget has no param variable "secnd"; did you mean "second"?`,
		"second":   `metrics.unit-with: "second" is not VARIABLE=UNIT`,
	} {
		meta, err := metadata.Parse("gadget.yaml", []byte("name: x\ndatasources: {t: {fields: {pid: {annotations: {metrics.unit-with: "+with+"}}}}}"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parse(t, "conditions").WithMetadata(meta); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", with, err, want)
		}
	}
}

func TestImagesWithoutConditionsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	img := parse(t, "tracer")
	with, err := img.WithParams(nil)
	if with != img || err != nil {
		t.Errorf("got %v, %v", with, err)
	}
}

// A param decides how often a program samples: what the user says, or else gadget.yaml, or else the object.
func TestParamIsTheFrequency(t *testing.T) {
	t.Parallel()
	const sampled = "programs: {gt_tracer: {sampler: {frequency: 7, param: param_u32}}}\n"
	const half = sampled + "params: {ebpf: {param_u32: {key: rate, defaultValue: 49}}}\n"
	number := func(n uint32) Value { return binary.LittleEndian.AppendUint32(nil, n) }
	for _, c := range []struct {
		yaml  string
		value Value
		want  uint64
		err   string
	}{
		{yaml: "programs: {gt_tracer: {sampler: {frequency: 7}}}", want: 7},
		{yaml: half, want: 49},
		{yaml: half, value: number(1), want: 1},
		{yaml: half, value: number(1_000_000), want: 1_000_000},
		{yaml: half, value: number(0), err: "programs.gt_tracer.sampler.param: the param rate is 0: say how many times a second to sample, from 1 to 1000000"},
		{yaml: half, value: number(1_000_001), err: "the param rate is 1000001"},
		{yaml: half, value: Value{1}, err: `"param_u32" is no param of the type __u32`},
		{yaml: sampled, err: "the param param_u32 is 4000000000"},
		{yaml: "programs: {gt_tracer: {sampler: {param: absent}}}", err: `"absent" is no param of the type __u32`},
		{yaml: "programs: {gt_tracer: {sampler: {param: param_u64}}}", err: `"param_u64" is no param of the type __u32`},
	} {
		img := parseWith(t, "tracer", c.yaml)
		before := img.Program("gt_tracer").Settings.Sampler.Frequency
		values := map[string]Value{}
		if c.value != nil {
			values["param_u32"] = c.value
		}
		with, err := img.WithParams(values)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s with %v: error %v, want one with %q", c.yaml, c.value, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s with %v: %v", c.yaml, c.value, err)
			continue
		}
		if got := with.Program("gt_tracer").Settings.Sampler.Frequency; got != c.want {
			t.Errorf("%s with %v: %d times a second, want %d", c.yaml, c.value, got, c.want)
		}
		if got := img.Program("gt_tracer").Settings.Sampler.Frequency; got != before {
			t.Errorf("%s with %v has changed the image itself, from %d to %d", c.yaml, c.value, before, got)
		}
	}
}

func TestBool(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		yaml, variable string
		values         map[string]Value
		want, ok       bool
	}{
		{"", "second", nil, true, true},
		{"", "first", nil, false, true},
		{"", "hidden", nil, false, true},
		{"", "absent", nil, false, false},
		{"", "absent", map[string]Value{"absent": {1}}, false, false},
		{"", "second", map[string]Value{"second": {0}}, false, true},
		{"params: {ebpf: {second: {defaultValue: false}}}", "second", nil, false, true},
		{"params: {ebpf: {second: {defaultValue: false}}}", "second", map[string]Value{"second": {1}}, true, true},
	} {
		if got, ok := parseWith(t, "conditions", c.yaml).Bool(c.variable, c.values); got != c.want || ok != c.ok {
			t.Errorf("%s, %s with %v: got %v, %v, want %v, %v", c.yaml, c.variable, c.values, got, ok, c.want, c.ok)
		}
	}
}
