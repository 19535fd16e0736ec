// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
)

// names returns the fields that a plan uses, by their role.
func (p *plan) names(s *event.Schema) string {
	var b strings.Builder
	for _, f := range p.stacks {
		fmt.Fprintf(&b, "%s ", s.Fields[f.index].Name)
	}
	b.WriteString("|")
	for _, l := range p.labels {
		fmt.Fprintf(&b, " %s=%s", l.key, l.reader.Field().Name)
		if l.level != noLevel {
			fmt.Fprintf(&b, "(%d)", l.level)
		}
		if !l.isLabel {
			b.WriteString("(frame only)")
		}
	}
	return b.String()
}

// annotate gives fields annotations: "FIELD level=2 type=stack attribute;…".
func annotate(t *testing.T, s *event.Schema, text string) {
	t.Helper()
	for part := range strings.SplitSeq(text, ";") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		i, ok := s.Lookup(words[0])
		if !ok {
			t.Fatalf("no field %q", words[0])
		}
		in := new(event.InProfile)
		s.Fields[i].Ann.Profile = in
		for _, word := range words[1:] {
			level := 0
			if n, _ := fmt.Sscanf(word, "level=%d", &level); n == 1 {
				in.Level = &level
			} else if kind, ok := strings.CutPrefix(word, "type="); ok {
				in.Type = kind
			} else {
				in.Attribute = true
			}
		}
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ stacks, annotations, want string }{
		{"", "", "ustack.symbols kern_stack | comm=comm(0) pid=pid"},
		{"kern_stack,ustack", "", "kern_stack ustack.symbols | comm=comm(0) pid=pid"},
		{"ustack_raw,kern_stack_raw", "", "ustack.symbols kern_stack | comm=comm(0) pid=pid"},
		{"kern_stack", "", "kern_stack | comm=comm(0) pid=pid"},
		{"ustack.addresses,ustack.symbols", "", "ustack.symbols | comm=comm(0) pid=pid"},
		{"", "kern_stack_raw level=30 type=stack", "kern_stack | comm=comm(0) pid=pid"},
		{"", "ustack.symbols level=2 type=stack;kern_stack level=30 type=stack", "kern_stack ustack.symbols | comm=comm(0) pid=pid"},
		{"", "ustack.symbols level=40 type=stack;kern_stack level=30 type=stack", "ustack.symbols kern_stack | comm=comm(0) pid=pid"},
		{"", "pid level=2;flag level=1", "ustack.symbols kern_stack | comm=comm pid=pid(2) flag=flag(1)(frame only)"},
		{"", "size_raw attribute;comm level=5", "ustack.symbols kern_stack | comm=comm(5) pid=pid size_raw=size_raw"},
	} {
		s := newSource(true, stacks{}, stacks{})
		annotate(t, s.Schema, c.annotations)
		settings := annotation.Profile{}
		if c.stacks != "" {
			settings.StackFields = strings.Split(c.stacks, ",")
		}
		p, err := newPlan(s.Schema, &settings)
		if err != nil {
			t.Errorf("%q, %q: %v", c.stacks, c.annotations, err)
			continue
		}
		if got := p.names(s.Schema); got != c.want {
			t.Errorf("%q, %q: got %s, want %s", c.stacks, c.annotations, got, c.want)
		}
		if want := len(p.stacks) + len(p.labels); p.reads.Len() != want {
			t.Errorf("%q, %q: the sink reads %d fields, want %d", c.stacks, c.annotations, p.reads.Len(), want)
		}
	}
}

func TestPlanErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		settings annotation.Profile
		want     string
	}{
		{annotation.Profile{StackFields: []string{"nothing"}}, `profiles.stack-fields: "nothing" is no field with a stack; those are ustack.symbols, kern_stack`},
		{annotation.Profile{StackFields: []string{"pid"}}, `profiles.stack-fields: "pid" is no field with a stack`},
		{annotation.Profile{ValueField: "nothing"}, `profiles.value-field: there is no field "nothing"`},
		{annotation.Profile{ValueField: "comm"}, `profiles.value-field: field "comm" is no whole number of at most 64 bits`},
		{annotation.Profile{ValueField: "flag"}, `profiles.value-field: field "flag" is no whole number of at most 64 bits`},
	} {
		s := newSource(true, stacks{}, stacks{})
		if _, err := New(c.settings, 0).Bind(s.Schema); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %s", c.settings, err, c.want)
		}
	}
	s := newSource(true, nil, nil)
	for i := range s.Fields {
		if s.Fields[i].Table != nil {
			s.Fields[i].Table = new(event.Texts)
		}
	}
	if _, err := New(annotation.Profile{}, 0).Bind(s.Schema); err == nil || err.Error() != "its events have no stacks" {
		t.Errorf("without stacks: %v", err)
	}
	many := newSource(true, stacks{}, stacks{})
	for i := range 3 {
		many.AddColumn(event.Field{Name: fmt.Sprint("stack", i), Kind: event.String, Parent: event.NoParent, Table: stacks{}})
	}
	if _, err := New(annotation.Profile{}, 0).Bind(many.Schema); err == nil || !strings.HasPrefix(err.Error(), "profiles.stack-fields: a sample can have 4 stacks, and these are 5: ustack.symbols, kern_stack, stack0") {
		t.Errorf("with five stacks: %v", err)
	}
}

// Names of fields that say who did it, as containers have them.
func TestUsualLabels(t *testing.T) {
	t.Parallel()
	s := newSource(true, stacks{stackOf(app, "main")}, nil)
	s.Fields[0].Name, s.Fields[1].Name = "proc.comm", "proc.pid"
	texts := new(event.Texts)
	column := s.AddColumn(
		event.Field{Name: "k8s.podName", Kind: event.String, Parent: event.NoParent, Table: texts},
		event.Field{Name: "runtime.containerName", Kind: event.String, Parent: event.NoParent, Table: texts})
	sink := bind(t, s, annotation.Profile{}, 0)
	b := s.rows(row{comm: "a\xffb", pid: 7, user: 1}, row{comm: "a", pid: 7, user: 1})
	column.Fill(b)[0] = texts.Handle("web")
	write(t, sink, b)
	want := "main [1] comm=\"a\" pid=7\nmain [1] comm=\"a\\\\xffb\" pid=7 container=\"web\" pod=\"web\"\n"
	if got := describe(sink.Profile()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
