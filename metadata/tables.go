// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
)

// Keys that are needed outside the tables too.
const (
	keyName        = "name"
	keyDescription = "description"
	keyAnnotations = "annotations"
	keyDataSources = "datasources"
	keyFields      = "fields"
	keyParams      = "params"
	keyEBPF        = "ebpf"
	keyCustom      = "custom"
	keyKey         = "key"
	keyDefault     = "defaultValue"
	keyPrograms    = "programs"
	keyWasm        = "wasm"
	keyOperator    = "operator"
	keyEmitStats   = "emitstats"
)

// maxCustomParams limits the work that the custom params of a file can cause: after each one the metadata
// is parsed again.
const maxCustomParams = 100

func metadataShape() object[Metadata] {
	line := text{annotation.Line}
	return object[Metadata]{members: []member[Metadata]{
		key(keyName, "Name of the gadget.",
			func(m *Metadata) *string { return &m.Name }, line),
		key(keyDescription, "Says what the gadget does.",
			func(m *Metadata) *string { return &m.Description }, text{}),
		key("homepageURL", "Home page of the gadget.",
			func(m *Metadata) *string { return &m.HomepageURL }, line),
		key("documentationURL", "Address of the gadget's documentation.",
			func(m *Metadata) *string { return &m.DocumentationURL }, line),
		key("sourceURL", "Address of the gadget's source code.",
			func(m *Metadata) *string { return &m.SourceURL }, line),
		key(keyAnnotations, "Annotations of the gadget as a whole; the keys are free.",
			func(m *Metadata) *map[string]string { return &m.Annotations }, dict[string]{text{}}),
		key(keyDataSources, "Describes the data sources, by their names.",
			func(m *Metadata) *map[string]annotation.Spec { return &m.DataSources }, dict[annotation.Spec]{dataSourceShape()}),
		key(keyParams, "Describes the gadget's params.",
			func(m *Metadata) *Params { return &m.Params }, paramsShape()),
		key(keyPrograms, "Settings of BPF programs, by the names of their functions.",
			func(m *Metadata) *map[string]Program { return &m.Programs }, dict[Program]{programShape()}),
		key(keyOperator, "A tree of settings, of which gizmo reads those of [built-in data sources](#operator).",
			func(m *Metadata) **yaml.Node { return &m.Operator }, operatorTree{}),
		key("paramDefaults", "Default values of gizmo's flags for this gadget, by full names; the last part of a name is the name of the flag.",
			func(m *Metadata) *map[string]string { return &m.ParamDefaults }, dict[string]{text{}}),
		key("gadgetParams", "A tree of settings, which gizmo keeps but does not use.",
			func(m *Metadata) **yaml.Node { return &m.GadgetParams }, tree{}),
	}}
}

func dataSourceShape() object[annotation.Spec] {
	source := annotations[annotation.Source]{
		keys:  annotation.SourceKeys(),
		whole: func(s annotation.Set) error { _, err := s.ParseSource(); return err },
	}
	return object[annotation.Spec]{members: []member[annotation.Spec]{
		key(keyAnnotations, "Annotations of the data source.",
			func(s *annotation.Spec) *annotation.Set { return &s.Source }, source),
		key(keyFields, "Describes the fields, by their full names.",
			func(s *annotation.Spec) *map[string]annotation.Set { return &s.Fields }, dict[annotation.Set]{fieldShape()}),
	}}
}

func fieldShape() object[annotation.Set] {
	field := annotations[event.Annotations]{
		keys:  annotation.FieldKeys(),
		whole: func(s annotation.Set) error { _, err := s.ParseField(); return err },
	}
	return object[annotation.Set]{members: []member[annotation.Set]{
		key(keyAnnotations, "Annotations of the field.",
			func(s *annotation.Set) *annotation.Set { return s }, field),
	}}
}

func paramsShape() object[Params] {
	return object[Params]{members: []member[Params]{
		key(keyEBPF, "The params that the object has, by their C variables.",
			func(p *Params) *map[string]Param { return &p.EBPF }, dict[Param]{object[Param]{members: paramMembers("that of the variable", "the variable's initial value")}}),
		key(keyWasm, "The params of a Wasm module; gizmo runs none yet.",
			func(p *Params) *map[string]Param { return &p.Wasm }, dict[Param]{object[Param]{members: paramMembers("the one in this file", "the empty text")}}),
		key(keyCustom, "Further params; each of them changes this file.",
			func(p *Params) *map[string]CustomParam { return &p.Custom }, dict[CustomParam]{customParamShape()}),
	}}
}

// paramMembers takes the descriptions of the default key and the default value.
func paramMembers(ownKey, ownValue string) []member[Param] {
	line := text{annotation.Line}
	return []member[Param]{
		key(keyKey, "Name that users see, of letters, digits and -_.:/@+, (it becomes a flag); without it, "+ownKey+".",
			func(p *Param) *string { return &p.Key }, line),
		key(keyDefault, "Value when the user gives none; without it, "+ownValue+".",
			func(p *Param) **string { return &p.DefaultValue }, optionalText{line}),
		key(keyDescription, "Says what the param does.",
			func(p *Param) *string { return &p.Description }, text{}),
		key("title", "Name for user interfaces.",
			func(p *Param) *string { return &p.Title }, line),
		key("alias", "Short name.",
			func(p *Param) *string { return &p.Alias }, line),
		key("typeHint", "Type of the value, for user interfaces.",
			func(p *Param) *string { return &p.TypeHint }, line),
		key("valueHint", "What the value stands for, for user interfaces.",
			func(p *Param) *string { return &p.ValueHint }, line),
		key("possibleValues", "The only values allowed.",
			func(p *Param) *[]string { return &p.PossibleValues }, texts{line}),
		key("isMandatory", "The user must give a value.",
			func(p *Param) *bool { return &p.IsMandatory }, yesNo{}),
	}
}

func customParamShape() object[CustomParam] {
	members := within(func(c *CustomParam) *Param { return &c.Param }, paramMembers("the one in this file", "the empty text"))
	return object[CustomParam]{members: append(members,
		key("patch", "Changes to this file, whatever the value.",
			func(c *CustomParam) **yaml.Node { return &c.Patch }, tree{}),
		key("values", "Changes to this file for single values.",
			func(c *CustomParam) *map[string]CustomValue { return &c.Values }, dict[CustomValue]{customValueShape()}),
	)}
}

func customValueShape() object[CustomValue] {
	return object[CustomValue]{members: []member[CustomValue]{
		key("patch", "Changes to this file if the param has this value.",
			func(v *CustomValue) **yaml.Node { return &v.Patch }, tree{}),
	}}
}

func programShape() object[Program] {
	line := text{annotation.Line}
	perf := object[Perf]{members: []member[Perf]{
		key("type", "Type of the perf event.",
			func(p *Perf) *string { return &p.Type }, line),
		key("config", "Which event of that type.",
			func(p *Perf) *string { return &p.Config }, line),
		key("sampleType", "What a sample holds.",
			func(p *Perf) *string { return &p.SampleType }, line),
	}}
	sampler := object[Sampler]{members: []member[Sampler]{
		key("frequency", "How many times a second the program runs on each CPU.",
			func(s *Sampler) *uint64 { return &s.Frequency }, number{most: annotation.MaxFrequency}),
		key("param", "The variable of a param whose value replaces the frequency.",
			func(s *Sampler) *string { return &s.Param }, line),
	}}
	return object[Program]{dotted: true, members: []member[Program]{
		key("attach_to", "Target in place of the one that the program's section names.",
			func(p *Program) *string { return &p.AttachTo }, line),
		key("perf", "The perf event that the program is attached to.",
			func(p *Program) *Perf { return &p.Perf }, perf),
		key("sampler", "How often the program runs.",
			func(p *Program) *Sampler { return &p.Sampler }, sampler),
	}}
}

// operatorShape is the part of the tree of settings that gizmo reads.
func operatorShape() object[builtIns] {
	return object[builtIns]{dotted: true, members: []member[builtIns]{
		key(BuiltInPrograms, "The data source bpfstats: BPF programs, how long they run and what memory their maps take.",
			func(b *builtIns) *BuiltIn { return &b.programs }, builtInShape(key("gadgets-only", "Leaves out programs that are not of a gadget.",
				func(b *BuiltIn) *bool { return &b.GadgetsOnly }, yesNo{}))),
		key(BuiltInProcesses, "The data source processes: processes, their processor time and memory.",
			func(b *builtIns) *BuiltIn { return &b.processes }, builtInShape(key(keyFields, "The only fields that the data source has, besides pid and mountnsid.",
				func(b *BuiltIn) *[]string { return &b.Fields }, texts{text{annotation.Line}}))),
		key(BuiltInCgroups, "The data source cgroups: control groups with a limit of processor time, and how often it held them up.",
			func(b *builtIns) *BuiltIn { return &b.cgroups }, builtInShape()),
	}}
}

func builtInShape(more ...member[BuiltIn]) object[BuiltIn] {
	return object[BuiltIn]{members: append([]member[BuiltIn]{
		key(keyEmitStats, "Gives the gadget the data source.",
			func(b *BuiltIn) *bool { return &b.EmitStats }, yesNo{}),
		key("interval", "Time from one array to the next, more than 0.",
			func(b *BuiltIn) *time.Duration { return &b.Interval }, span{}),
		key("first-interval", "Time from the start to the first array, if that is less; 0 stands for the interval.",
			func(b *BuiltIn) *time.Duration { return &b.FirstInterval }, span{zero: true}),
		key("count", "Number of arrays after which the run ends; 0 for no end.",
			func(b *BuiltIn) *int { return &b.Count }, count{}),
	}, more...)}
}
