// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

const someFile = `name: trace open
programs:
  sys_exit: {attach_to: x}
  sys_entr: {attach_to: x}
params:
  custom:
    anything: {}
  ebpf:
    targ_pid:
    tagr_uid:
      key: uid
datasources:
  exec: {}
  opne:
    fields:
      not_a_field: {}
  open:
    fields:
      runtime.containerName: {annotations: {columns.replace: comm}}
      comm: {annotations: {columns.replace: containerName}}
      pid:
        annotations:
          template: pid
      errror: {}
`

func someKnown() metadata.Known {
	return metadata.Known{
		DataSources: map[string][]string{
			"open":  {"proc.pid", "proc.comm", "comm", "error", "error_raw", "runtime.containerName"},
			"close": {"fd"},
		},
		Params:   []string{"targ_pid", "targ_uid"},
		Programs: []string{"sys_enter", "sys_exit"},
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	m, err := metadata.Parse("dir/gadget.yaml", []byte(someFile))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`dir/gadget.yaml:4:3: unknown program "sys_entr"; did you mean "sys_enter"?`,
		`dir/gadget.yaml:10:5: unknown param "tagr_uid"; did you mean "targ_uid"?`,
		`dir/gadget.yaml:13:3: unknown data source "exec"`,
		`dir/gadget.yaml:14:3: unknown data source "opne"; did you mean "open"?`,
		`dir/gadget.yaml:20:45: unknown field "containerName"; did you mean "runtime.containerName"?`,
		`dir/gadget.yaml:21:7: unknown field "pid"; did you mean "proc.pid"?`,
		`dir/gadget.yaml:24:7: unknown field "errror"; did you mean "error"?`,
	}
	err = m.Validate(someKnown())
	if got := fmt.Sprint(err); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	for _, p := range metadata.Problems(err) {
		if !p.Unknown() {
			t.Errorf("%v: should count as unknown", p)
		}
	}
}

// TestValidateMade checks metadata that no file has ever held.
func TestValidateMade(t *testing.T) {
	t.Parallel()
	m := &metadata.Metadata{
		DataSources: map[string]annotation.Spec{"b": {}, "a": {}, "open": {Fields: map[string]annotation.Set{"comm": nil}}},
		Programs:    map[string]metadata.Program{"x": {}},
	}
	want := "unknown data source \"a\"\nunknown data source \"b\"\nunknown program \"x\""
	if got := fmt.Sprint(m.Validate(someKnown())); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := new(metadata.Metadata).Validate(metadata.Known{}); err != nil {
		t.Errorf("nothing is always valid, got %v", err)
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	m, err := metadata.Parse("gadget.yaml", []byte(someFile))
	if err != nil {
		t.Fatal(err)
	}
	wrong := errors.New("wrong")
	tests := []struct {
		path []string
		want string
	}{
		{[]string{"name"}, "gadget.yaml:1:7: wrong"},
		{[]string{"params", "ebpf", "tagr_uid"}, "gadget.yaml:10:5: wrong"},
		{[]string{"params", "ebpf", "tagr_uid", "key"}, "gadget.yaml:11:12: wrong"},
		{[]string{"params", "ebpf", "tagr_uid", "defaultValue"}, "gadget.yaml:10:5: wrong"}, // what lies around it
		{[]string{"operator"}, "gadget.yaml: wrong"},
		{nil, "gadget.yaml: wrong"},
	}
	for _, test := range tests {
		err := m.Locate(wrong, test.path...)
		if err.Error() != test.want || !errors.Is(err, wrong) {
			t.Errorf("%q: got %v, want %s", test.path, err, test.want)
		}
	}
	if pos, ok := m.Position("operator"); ok {
		t.Errorf("a place %v of what is not there", pos)
	}
	if got := new(metadata.Metadata).Locate(wrong, "name").Error(); got != "wrong" {
		t.Errorf("without a file: got %q", got)
	}
}

func ExampleParse() {
	_, err := metadata.Parse("gadget.yaml", []byte(`
name: trace open
desciption: trace calls of open
datasources:
  open:
    fields:
      comm:
        annotations:
          columns.width: wide
          columns.hiden: true
`))
	fmt.Println(err)
	// Output:
	// gadget.yaml:3:1: unknown key "desciption"; did you mean "description"?
	// gadget.yaml:9:26: columns.width: "wide" is not a whole number from 0 to 4096
	// gadget.yaml:10:11: unknown annotation "columns.hiden"; did you mean "columns.hidden"?
}

func ExampleMetadata_Encode() {
	m := &metadata.Metadata{Name: "trace open"}
	spec := annotation.Spec{}
	spec.SetField("proc.pid", "template", "pid")
	spec.SetField("proc.pid", "columns.width", "8")
	m.DataSources = map[string]annotation.Spec{"open": spec}
	text, err := m.Encode()
	if err != nil {
		panic(err)
	}
	fmt.Print(string(text))
	// Output:
	// name: trace open
	// datasources:
	//   open:
	//     fields:
	//       proc.pid:
	//         annotations:
	//           columns.width: 8
	//           template: pid
}
