// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

func TestParseFlags(t *testing.T) {
	t.Parallel()
	names := []string{"open", "exec"}
	type specs = map[string]*annotation.Spec
	field := func(name, key, value string) *annotation.Spec {
		return &annotation.Spec{Fields: map[string]annotation.Set{name: {key: value}}}
	}
	tests := []struct {
		entries []string
		want    specs
	}{
		{nil, specs{}},
		{[]string{""}, specs{}},
		{[]string{"open:fetch-count=3"}, specs{"open": {Source: annotation.Set{"fetch-count": "3"}}}},
		{[]string{"open.proc.pid:columns.width=3"}, specs{"open": field("proc.pid", "columns.width", "3")}},
		{[]string{"open.pid:columns.width=3,exec.pid:columns.hex=true", "open:fetch-count=1"}, specs{
			"open": {Source: annotation.Set{"fetch-count": "1"}, Fields: map[string]annotation.Set{"pid": {"columns.width": "3"}}},
			"exec": field("pid", "columns.hex", "true"),
		}},
		{[]string{"open.f:columns.width=3,open.f:columns.width=4"}, specs{"open": field("f", "columns.width", "4")}},
		{[]string{`open.f:value.one-of=a\,b\,c`}, specs{"open": field("f", "value.one-of", "a,b,c")}},
		{[]string{`open.f:description=a:b=c\:\=\\\,`}, specs{"open": field("f", "description", `a:b=c:=\,`)}},
		{[]string{`open.f:description=`}, specs{"open": field("f", "description", "")}},
		{[]string{`open.f:formatters.timestamp.format=15:04:05`}, specs{"open": field("f", "formatters.timestamp.format", "15:04:05")}},
		{[]string{`open.f:example.org/x\=y=1`}, specs{"open": field("f", "example.org/x=y", "1")}},
		{[]string{`open.a\:b:x-y=1`}, specs{"open": field("a:b", "x-y", "1")}},
	}
	for _, test := range tests {
		got, err := annotation.ParseFlags(test.entries, names)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q: got %v, %v, want %v", test.entries, got, err, test.want)
		}
	}
}

func TestParseFlagsErrors(t *testing.T) {
	t.Parallel()
	const form = `want DATASOURCE:KEY=VALUE or DATASOURCE.FIELD:KEY=VALUE; a comma inside a value is written "\,"`
	const backslash = `a backslash must stand before a comma, a colon, an equals sign or another backslash`
	tests := []struct{ entry, want string }{
		{"open", `"open": ` + form},
		{"open:", `"open:": ` + form},
		{"open:=x", `"open:=x": ` + form},
		{":a=x", `":a=x": ` + form},
		{"open.:a=x", `"open.:a=x": ` + form},
		{"open.f=a:b", `"open.f=a:b": ` + form},
		{"open.f:value.one-of=a,b", `"b": ` + form},
		{"open.f:columns.hex=true,", `"": ` + form},
		{`open.f:description=a\b`, `"open.f:description=a\\b": ` + backslash},
		{`open.f:description=a\`, `"open.f:description=a\\": ` + backslash},
		{"opne:fetch-count=1", `"opne:fetch-count=1": unknown data source "opne"; did you mean "open"?`},
		{"open:columns.width=1", `"open:columns.width=1": unknown annotation "columns.width"`},
		{"open.f:columns.widht=1", `"open.f:columns.widht=1": unknown annotation "columns.widht"; did you mean "columns.width"?`},
		{"open.f:columns.hex=on,x:y=z", `"open.f:columns.hex=on": columns.hex: "on" is not true or false` + "\n" + `"x:y=z": unknown data source "x"`},
	}
	for _, test := range tests {
		got, err := annotation.ParseFlags([]string{test.entry}, []string{"open", "exec"})
		if fmt.Sprint(err) != test.want || got != nil {
			t.Errorf("%q: got %v, %v\nwant %s", test.entry, got, err, test.want)
		}
	}
	_, err := annotation.ParseFlags([]string{"pid:template=pid"}, []string{"open"})
	if want := `"pid:template=pid": unknown data source "pid" (the annotation of a field names its data source too: "open.pid")`; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func ExampleParseFlags() {
	specs, err := annotation.ParseFlags([]string{`open.comm:columns.width=20,open.mode:value.one-of=r\,w`}, []string{"open"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(specs["open"].Fields)
	// Output: map[comm:map[columns.width:20] mode:map[value.one-of:r,w]]
}

func FuzzParseFlags(f *testing.F) {
	for _, s := range []string{"", "open:fetch-count=3", `open.a.b:value.one-of=a\,b,exec.f:x-a=\\`, "a:b=c", `\`, "open.f:columns.hex=true"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		specs, err := annotation.ParseFlags([]string{entry}, []string{"open", "exec"})
		if err != nil {
			if specs != nil || err.Error() == "" {
				t.Errorf("%q: got %v, %q", entry, specs, err)
			}
			return
		}
		again, err := annotation.ParseFlags([]string{writeFlags(specs)}, []string{"open", "exec"})
		if err != nil || !reflect.DeepEqual(again, specs) {
			t.Errorf("%q: got %v, then %v, %v", entry, specs, again, err)
		}
	})
}

// writeFlags is the inverse of ParseFlags.
func writeFlags(specs map[string]*annotation.Spec) string {
	escape := strings.NewReplacer(`\`, `\\`, `,`, `\,`, `:`, `\:`, `=`, `\=`).Replace
	var items []string
	add := func(target string, set annotation.Set) {
		for key, value := range set {
			items = append(items, escape(target)+":"+escape(key)+"="+escape(value))
		}
	}
	for name, spec := range specs {
		add(name, spec.Source)
		for field, set := range spec.Fields {
			add(name+"."+field, set)
		}
	}
	return strings.Join(items, ",")
}
