// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"maps"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
)

func TestPerSource(t *testing.T) {
	all := []*event.Schema{{Name: "one"}, {Name: "two"}}
	for _, c := range []struct {
		text, sep string
		want      map[string]string
	}{
		{"", ",", nil},
		{"json", ",", map[string]string{"one": "json", "two": "json"}},
		{"one:json", ",", map[string]string{"one": "json"}},
		{"one:json,two:yaml", ",", map[string]string{"one": "json", "two": "yaml"}},
		{"json,two:yaml", ",", map[string]string{"one": "json", "two": "yaml"}},
		{"two:a,b;one:c", ";", map[string]string{"one": "c", "two": "a,b"}},
		{"+a,-b", ";", map[string]string{"one": "+a,-b", "two": "+a,-b"}},
		{"one:a:b", ";", map[string]string{"one": "a:b"}},
		{"one:", ";", map[string]string{"one": ""}},
	} {
		got, err := perSource(c.text, c.sep, all)
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%q: %v, %v; want %v", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"onne:json", ":json", "one:json,twoo:json"} {
		if got, err := perSource(text, ",", all); err == nil || !strings.Contains(err.Error(), "there is no data source") {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestMode(t *testing.T) {
	s := &event.Schema{Name: "one"}
	limited := annotation.Source{DefaultOutputMode: "yaml", SupportedOutputModes: []string{"yaml", "json"}}
	for _, c := range []struct {
		name, modes string
		settings    annotation.Source
		want        string // a format, or part of an error
	}{
		{name: "nobody cares", want: "columns"},
		{name: "the user does", modes: "json", want: "json"},
		{name: "the gadget does", settings: limited, want: "yaml"},
		{name: "both do", modes: "json", settings: limited, want: "json"},
		{name: "they disagree", modes: "columns", settings: limited, want: `data source "one" has no output mode "columns"; it has yaml, json`},
		{name: "no such format", modes: "jsno", want: `did you mean "json"?`},
		{name: "no such source", modes: "on:json", want: `there is no data source "on"; did you mean "one"?`},
		{name: "no such default", settings: annotation.Source{DefaultOutputMode: "jsno"}, want: `"jsno"`},
	} {
		flags := outputFlags{modes: c.modes}
		format, err := flags.mode(s, &c.settings, []*event.Schema{s})
		got := format.Name
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
