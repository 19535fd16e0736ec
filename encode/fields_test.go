// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
)

// conn is a schema with the things that matter to the choice of fields.
func conn() *event.Schema {
	b := newBuilder("conn", true)
	text := textOf(&[]byte{'x'})
	b.field("timestamp_raw", event.Uint, 8, 0).Ann.Columns.Hidden = true
	b.node("proc").Ann.Columns.Hidden = true
	b.field("proc.comm", event.String, 16, 0)
	b.field("proc.pid", event.Uint, 4, 0)
	b.field("proc.mntns_id", event.Uint, 8, 0).Ann.Columns.Hidden = true
	b.field("proc.__pad", event.Uint, 4, 0)
	b.node("src").Text = text
	b.node("src.addr_raw").Ann.SkipJSON = true
	b.field("src.addr_raw.v6", event.Bytes, 16, 0).Ann.Columns.Hidden = true
	b.field("src.port", event.Uint, 2, 0).Ann.Columns.Hidden = true
	b.field("error_raw", event.Uint, 4, 0).Ann.Columns.Hidden = true
	b.field("sig", event.Uint, 4, 0).Ann.Target = "signal"
	b.field("last", event.Uint, 4, 0)
	b.field("__pad", event.Uint, 4, 0)
	b.added("timestamp", event.String, text).Ann.Columns.Hidden = true
	b.added("src.addr", event.String, text).Ann.Columns.Hidden = true
	b.added("error", event.String, text)
	b.added("signal", event.String, text)
	b.added("proc.user", event.String, text)
	b.added("runtime.containerName", event.String, text)
	return &b.s
}

func names(s *event.Schema, fields []int) string {
	var out []string
	for _, i := range fields {
		out = append(out, s.Fields[i].Name)
	}
	return strings.Join(out, " ")
}

func lookup(t *testing.T, name string) encode.Format {
	t.Helper()
	f, err := encode.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDefaultFields(t *testing.T) {
	t.Parallel()
	s := conn()
	nested := "timestamp_raw proc.comm proc.pid proc.mntns_id src.port error_raw sig last timestamp src.addr error signal proc.user runtime.containerName"
	for format, want := range map[string]string{
		"columns": "runtime.containerName proc.comm proc.pid proc.user src error sig signal last",
		"json":    nested, "jsonpretty": nested, "yaml": nested,
		"none": "",
	} {
		if got := names(s, encode.DefaultFields(s, lookup(t, format))); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", format, got, want)
		}
	}
}

// The type of a struct with a text hides the members, and an annotation can show one of them. If another field replaces
// the struct, it also replaces all members.
func TestMembersAreShownOnDemand(t *testing.T) {
	t.Parallel()
	s := conn()
	port, _ := s.Lookup("src.port")
	s.Fields[port].Ann.Columns.Hidden = false
	columns := lookup(t, "columns")
	if got, want := names(s, encode.DefaultFields(s, columns)), "runtime.containerName proc.comm proc.pid proc.user src src.port error sig signal last"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	src, _ := s.Lookup("src")
	s.Fields[src].Ann.Columns.Replace = "last"
	if got, want := names(s, encode.DefaultFields(s, columns)), "runtime.containerName proc.comm proc.pid proc.user src error sig signal last"; got != want {
		t.Errorf("with a stand-in: got %s\nwant %s", got, want)
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	s := conn()
	for _, c := range []struct{ spec, want string }{
		{"last", "last"},
		{"last,proc.pid", "last proc.pid"},
		{" last , proc.pid ", "last proc.pid"},
		{"last,last", "last"},
		{"proc", "proc.comm proc.pid proc.mntns_id proc.user"},
		{"src", "src"},
		{"src.addr_raw", "src.addr_raw.v6"},
		{"src.addr", "src.addr"},
		{"runtime", "runtime.containerName"},
		{"+last", "proc.comm proc.pid src last"},
		{"+proc.pid", "proc.comm proc.pid src"},
		{"-proc.comm,+error", "proc.pid src error"},
		{"-proc", "src"},
		{"-src", "proc.comm proc.pid"},
		{"-last", "proc.comm proc.pid src"},
		{"-proc,+proc.pid", "src proc.pid"},
		{"+proc", "proc.comm proc.pid src proc.mntns_id proc.user"},
	} {
		var base []int
		for _, name := range []string{"proc.comm", "proc.pid", "src"} {
			i, _ := s.Lookup(name)
			base = append(base, i)
		}
		before := slices.Clone(base)
		fields, err := encode.Select(s, c.spec, base)
		if err != nil {
			t.Errorf("%q: %v", c.spec, err)
		}
		if got := names(s, fields); got != c.want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.spec, got, c.want)
		}
		if !slices.Equal(base, before) {
			t.Errorf("%q changed its base", c.spec)
		}
	}
}

func TestSelectErrors(t *testing.T) {
	t.Parallel()
	s := conn()
	base := encode.DefaultFields(s, lookup(t, "json"))
	for spec, want := range map[string]string{
		"lst":         `data source "conn" has no field "lst"; did you mean "last"?`,
		"pid":         `data source "conn" has no field "pid"; did you mean "proc.pid"?`,
		"-nothere":    `data source "conn" has no field "nothere"`,
		"__pad":       `data source "conn" has no field "__pad"`,
		"proc.__pad":  `data source "conn" has no field "proc.__pad"`,
		"last,+error": `fields "last,+error": use either names alone, or + or - before each of them`,
		"+last,error": `fields "+last,error": use either names alone, or + or - before each of them`,
		"":            `empty name in the list of fields; write names with commas between them`,
		"last,":       `empty name in the list of fields; write names with commas between them`,
		"+":           `empty name in the list of fields; write names with commas between them`,
		"-proc,-src,-timestamp,-timestamp_raw,-error,-error_raw,-sig,-signal,-last,-runtime": "nothing is left to show",
	} {
		got, err := encode.Select(s, spec, base)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want %s", spec, names(s, got), err, want)
		}
	}
}

func TestNeed(t *testing.T) {
	t.Parallel()
	s := conn()
	last, _ := s.Lookup("last")
	s.Fields[last].Ann.Columns.Replace = "error"
	src, _ := s.Lookup("src")
	for _, c := range []struct {
		format string
		chosen []int
		want   string
	}{
		{"none", nil, ""},
		{"none", []int{last}, ""},
		{"columns", []int{last, src}, "src last error"},
		{"json", []int{last, src}, "src.port last src.addr"},
		{"json", []int{}, ""},
	} {
		need := encode.Need(s, lookup(t, c.format), c.chosen)
		var got []int
		for i := range s.Fields {
			if need.Has(i) {
				got = append(got, i)
			}
		}
		if names(s, got) != c.want {
			t.Errorf("%s, %v: got %s, want %s", c.format, c.chosen, names(s, got), c.want)
		}
	}
}

func TestChosenFields(t *testing.T) {
	t.Parallel()
	s := conn()
	b := &event.Batch{Schema: s, Rows: [][]byte{make([]byte, s.Size)}}
	for _, c := range []struct{ format, spec, want string }{
		{"json", "src,last", `{"last":0,"src":{"addr":"x","port":0}}` + "\n"},
		{"json", "src.addr_raw", `{"src":{"addr_raw":{"v6":"00000000000000000000000000000000"}}}` + "\n"},
		{"yaml", "proc.pid", "---\nproc:\n  pid: 0\n"},
		{"columns", "last,src", "0          x\n"},
	} {
		fields, err := encode.Select(s, c.spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		enc := bind(t, lookup(t, c.format), s, encode.Options{Fields: fields})
		if got := string(enc.Append(nil, b)); got != c.want {
			t.Errorf("%s of %s: got %s, want %s", c.format, c.spec, got, c.want)
		}
	}
	node, _ := s.Lookup("proc")
	header := string(bind(t, lookup(t, "columns"), s, encode.Options{Fields: []int{node}}).Head(nil))
	if got := strings.Join(strings.Fields(header), " "); got != "PROC.COMM PROC.PID PROC.MNTNS_ID PROC.USER" {
		t.Errorf("a struct as a column: got %s", got)
	}
}
