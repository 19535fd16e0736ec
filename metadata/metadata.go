// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"fmt"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// Metadata is the content of a gadget.yaml. The zero value is that of an empty file.
type Metadata struct {
	Name             string
	Description      string
	HomepageURL      string
	DocumentationURL string
	SourceURL        string
	// Annotations are those of the gadget as a whole. Their keys are free; gizmo reads ContainersKey.
	Annotations map[string]string
	// DataSources holds the annotations of the data sources and their fields.
	DataSources map[string]annotation.Spec
	Params      Params
	// Programs holds settings of BPF programs, by the names of their functions.
	Programs map[string]Program
	// Operator is a tree of settings; nil for none. gizmo reads those of built-in data sources: see BuiltIn.
	Operator *yaml.Node
	// ParamDefaults gives flags other values for this gadget, by their full names:
	// "operator.oci.ebpf.map-fetch-interval".
	ParamDefaults map[string]string
	// GadgetParams is a tree that is kept but not read; nil for none.
	GadgetParams *yaml.Node

	file      string
	positions map[string]Pos
}

// Params describes the params of a gadget.
type Params struct {
	// EBPF describes the params that the object has, by their C variables.
	EBPF map[string]Param
	// Wasm describes the params of a Wasm module.
	Wasm map[string]Param
	// Custom are further params; each of them changes this file.
	Custom map[string]CustomParam
}

// Param describes a param. Empty texts mean that nothing was said.
type Param struct {
	// Key is the name that users know.
	Key string
	// DefaultValue replaces the variable's initial value; nil keeps that.
	DefaultValue *string
	Description  string
	Title        string
	// Alias is a short name.
	Alias string
	// TypeHint and ValueHint say which values make sense, for user interfaces.
	TypeHint  string
	ValueHint string
	// PossibleValues are the only values allowed; empty for any.
	PossibleValues []string
	// IsMandatory says that the user must give a value.
	IsMandatory bool
}

// CustomParam is a param that changes the metadata.
type CustomParam struct {
	Param
	// Patch is laid over the metadata whatever the value; nil for nothing.
	Patch *yaml.Node
	// Values holds the changes for single values.
	Values map[string]CustomValue
}

// CustomValue is the change that one value of a custom param makes.
type CustomValue struct {
	// Patch is laid over the metadata; nil for nothing.
	Patch *yaml.Node
}

// Program holds settings of a BPF program.
type Program struct {
	// AttachTo replaces the target that the program's section names; empty keeps that.
	AttachTo string
	Perf     Perf
	Sampler  Sampler
}

// Perf describes the perf event that a program is attached to, in words of the perf_event_open
// system call.
type Perf struct {
	Type       string
	Config     string
	SampleType string
}

// Sampler says how often a program runs.
type Sampler struct {
	// Frequency counts runs in a second on each CPU; 0 when nothing was said.
	Frequency uint64
	// Param is the variable of a param whose value replaces Frequency; empty: none.
	Param string
}

// BuiltIn has the settings of a data source that gizmo fills itself, without a BPF program.
type BuiltIn struct {
	// EmitStats gives the gadget the data source.
	EmitStats bool
	// Interval is the time from one array to the next, and FirstInterval that from the start to the first; 0 when nothing was said.
	Interval, FirstInterval time.Duration
	// Count is the number of arrays after which the run ends; 0 for no end.
	Count int
	// Fields are the only fields that the data source has; empty for all.
	Fields []string
	// GadgetsOnly leaves out BPF programs that are not of a gadget.
	GadgetsOnly bool
}

// The built-in data sources, by their keys below "operator".
const (
	BuiltInPrograms  = keyEBPF
	BuiltInProcesses = "process"
	BuiltInCgroups   = "cgroup"
)

// builtIns are the settings of all built-in data sources.
type builtIns struct{ programs, processes, cgroups BuiltIn }

// BuiltIn returns the settings of the built-in data source with a key below "operator". The annotation "operator.KEY.emitstats" of the
// gadget as a whole stands for the setting of that name.
func (m *Metadata) BuiltIn(key string) (BuiltIn, error) {
	all, _ := m.readBuiltIns() // Parse has reported problems
	b := map[string]BuiltIn{BuiltInPrograms: all.programs, BuiltInProcesses: all.processes, BuiltInCgroups: all.cgroups}[key]
	annotation := keyOperator + "." + key + "." + keyEmitStats
	text, ok := m.Annotations[annotation]
	if !ok || b.EmitStats {
		return b, nil
	}
	var err error
	if b.EmitStats, err = strconv.ParseBool(text); err != nil {
		return b, m.Locate(fmt.Errorf("%s: %q is neither true nor false", annotation, text), keyAnnotations, annotation)
	}
	return b, nil
}

// readBuiltIns reads the part of the tree of settings that is about built-in data sources. The reader has the problems.
func (m *Metadata) readBuiltIns() (b builtIns, r *reader) {
	r = &reader{positions: make(map[string]Pos)}
	if m.Operator != nil {
		operatorShape().read(r, []string{keyOperator}, m.Operator, &b)
	}
	return b, r
}

// ContainersKey is the annotation of a gadget as a whole that gives it the data source of containers.
const ContainersKey = "enable-containers-datasource"

// WantsContainers reports whether the gadget asks for the data source of containers.
func (m *Metadata) WantsContainers() (bool, error) {
	text, ok := m.Annotations[ContainersKey]
	if !ok {
		return false, nil
	}
	wants, err := strconv.ParseBool(text)
	if err != nil {
		return false, m.Locate(fmt.Errorf("%s: %q is neither true nor false", ContainersKey, text), keyAnnotations, ContainersKey)
	}
	return wants, nil
}

// Source returns the annotations of the data source with the given name. It never returns nil.
func (m *Metadata) Source(name string) *annotation.Spec {
	spec := m.DataSources[name]
	return &spec
}
