// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package builtin describes the data sources that gizmo fills itself, without a BPF program of the gadget: their fields, the layout of
// their rows, and how often there is an array. It asks neither the kernel nor files; package gadget fills the rows.
package builtin

import (
	"maps"
	"time"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
)

// Kind says what the rows of a data source describe.
type Kind uint8

// The kinds.
const (
	Programs  Kind = iota // BPF programs
	Processes             // processes
	Cgroups               // control groups with a limit of processor time
)

// Source is a built-in data source.
type Source struct {
	Kind Kind
	// Name is the name of the data source.
	Name string
	// Interval is the time from one array to the next if gadget.yaml says nothing.
	Interval time.Duration

	schema func(name string) *event.Schema
	fields map[string]annotation.Set
	// kept are the fields that no choice of fields leaves out.
	kept []string
}

// Of returns the data source of a kind.
func Of(k Kind) *Source {
	switch k {
	case Programs:
		return &Source{Kind: k, Name: "bpfstats", Interval: time.Second, schema: schemaOf[ProgramRow], fields: programFields()}
	case Processes:
		return &Source{
			Kind: k, Name: "processes", Interval: 3 * time.Second, schema: schemaOf[ProcessRow], fields: processFields(),
			kept: []string{"pid", "mountnsid"},
		}
	default:
		return &Source{Kind: k, Name: "cgroups", Interval: 5 * time.Second, schema: schemaOf[CgroupRow], fields: cgroupFields()}
	}
}

// Kinds lists the kinds.
func Kinds() []Kind { return []Kind{Programs, Processes, Cgroups} }

// Annotations returns the annotations of the data source and of the fields that its schema has with only these names.
func (s *Source) Annotations(only []string) *annotation.Spec {
	spec := &annotation.Spec{Fields: s.fields}
	maps.DeleteFunc(spec.Fields, func(name string, _ annotation.Set) bool {
		if name == "user" {
			name = "uid" // which adds it
		}
		return !s.keeps(name, only) && !s.keeps(name+"_raw", only)
	})
	spec.SetSource("cli.clear-screen-before", "true")
	return spec
}
