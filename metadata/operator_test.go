// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestBuiltIn(t *testing.T) {
	t.Parallel()
	m, err := Parse("gadget.yaml", []byte(`
annotations:
  operator.ebpf.emitstats: true
Operator:
  ebpf: {interval: 500ms, gadgets-only: "true"}
  process: {EmitStats: true, interval: 3s, first-interval: 250ms, count: "4", fields: [pid, comm]}
  cgroup.emitstats: false
  cgroup.first-interval: 0
  others: {a: b}
`))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]BuiltIn{
		BuiltInPrograms: {EmitStats: true, Interval: 500 * time.Millisecond, GadgetsOnly: true},
		BuiltInProcesses: {
			EmitStats: true, Interval: 3 * time.Second, FirstInterval: 250 * time.Millisecond, Count: 4, Fields: []string{"pid", "comm"},
		},
		BuiltInCgroups: {},
	} {
		if got, err := m.BuiltIn(key); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", key, got, err, want)
		}
	}
	want := `gadget.yaml:9:3: unknown key "others"`
	if err := m.Validate(Known{}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := m.Validate(Known{BuiltInFields: []string{"pid", "ppid"}}); err == nil || !strings.Contains(err.Error(), `gadget.yaml:6:79: unknown field "comm"`) {
		t.Errorf("got %v", err)
	}
	none, err := Parse("gadget.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := none.BuiltIn(BuiltInProcesses); err != nil || b.EmitStats {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestBuiltInMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"operator: {process: {interval: 0}}":             "gadget.yaml:1:32: interval: want more than 0",
		"operator: {process: {interval: -1s}}":           "gadget.yaml:1:32: interval: the duration -1s is negative",
		"operator: {process: {count: -1}}":               `gadget.yaml:1:29: count: "-1" is not a whole number from 0 to 2147483647`,
		"operator: {process: [x]}":                       "gadget.yaml:1:21: process: want a mapping, that is, lines of the form KEY: VALUE; got a list",
		"operator: {cgroup: {emitstats: perhaps}}":       `gadget.yaml:1:32: emitstats: "perhaps" is not true or false`,
		"operator: {ebpf: {fields: x, gadgets-only: y}}": `gadget.yaml:1:44: gadgets-only: "y" is not true or false`,
	} {
		if _, err := Parse("gadget.yaml", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v\nwant %s", text, err, want)
		}
	}
	m, err := Parse("gadget.yaml", []byte("annotations: {operator.ebpf.emitstats: maybe}"))
	if err != nil {
		t.Fatal(err)
	}
	want := `gadget.yaml:1:15: operator.ebpf.emitstats: "maybe" is neither true nor false`
	if _, err := m.BuiltIn(BuiltInPrograms); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// A custom param sets how often, as in the gadgets of others.
func TestBuiltInCustom(t *testing.T) {
	t.Parallel()
	m, err := Parse("gadget.yaml", []byte(`
operator: {process: {emitstats: true, interval: 3s}}
params:
  custom:
    count:
      defaultValue: 0
      patch: {operator: {process: {count: '{{call .getParamValue "custom.count"}}'}}}
    all: {typeHint: bool}
`))
	if err != nil {
		t.Fatal(err)
	}
	if flags := m.CustomParams(); !flags[0].Switch || flags[1].Switch {
		t.Errorf("%+v", flags)
	}
	changed, err := m.WithCustom(map[string]string{"count": "7"})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := changed.BuiltIn(BuiltInProcesses); err != nil || b.Count != 7 || b.Interval != 3*time.Second || !b.EmitStats {
		t.Errorf("%+v, %v", b, err)
	}
	_, err = m.WithCustom(map[string]string{"count": "-7"})
	if err == nil || !strings.Contains(err.Error(), `custom param "count": count: "-7" is not a whole number`) {
		t.Errorf("got %v", err)
	}
}
