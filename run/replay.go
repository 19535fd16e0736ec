// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/host/userdb"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/semtype"
	"github.com/gizmo-ebpf/gizmo/stage/container"
	"github.com/gizmo-ebpf/gizmo/stage/stack"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// Replay returns a run of the events of a recording, which needs neither a kernel nor privileges. The options' Gadgets,
// Host, Annotate and Record do not apply. The run closes the recording, but not the reader below it.
func Replay(recording *wire.Reader, o Options) (*Run, error) {
	if err := checkDescriptions(recording.Header().DataSources); err != nil {
		return nil, err
	}
	specs, err := recordedSpecs(recording.Header())
	if err != nil {
		return nil, err
	}
	if o.Events.Sort != "" {
		recording.KeepValues() // sorting holds events back
	} else {
		recording.KeepLittle()
	}
	for _, s := range recording.Schemas() {
		stack.Restyle(s)
		container.Restyle(s, recording.Header().Machine.Kubernetes)
	}
	if o.Text != nil {
		text := *o.Text
		text.recorded, text.start = true, recording.Header().Start
		o.Text = &text
	}
	r := &Run{options: o, sources: []pipeline.Source{recording}}
	if o.Lines {
		r.recordedLines = recording.KeepLines()
	}
	machine := &recording.Header().Machine
	err = r.assemble(specs, &semtype.Env{
		Arch: machine.Arch, Clock: recording.Clock(),
		Users: userdb.Table(machine.Users), Groups: userdb.Table(machine.Groups), Log: o.logger(),
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// What a small recording can describe that would take much time or memory.
const (
	// maxText limits the text of an event, as textOf estimates it: each of many fields can show the whole of a large record. The text of the
	// largest record is shorter.
	maxText = 64 << 20
	// maxDescriptions limits the memory that the output of all data sources takes before the first event, as costOf estimates it: 1024 data
	// sources can share a description of 128 fields. It is enough for some 150 data sources like those of the built-in gadgets.
	maxDescriptions = 16 << 20
	// maxAnnotations limits the annotations of all data sources, in bytes: each of a few bytes becomes an entry of a map, or an error.
	maxAnnotations = 512 << 10
)

// checkDescriptions refuses data sources that would take too much time or memory.
func checkDescriptions(sources []wire.DataSource) error {
	cost, fields, annotations := 0, 0, 0
	for _, d := range sources {
		if n := textOf(d.Schema); n > maxText {
			return fmt.Errorf("data source %q: an event can have %d bytes of text, and gizmo writes at most %d", d.Schema.ID(), n, maxText)
		}
		cost += costOf(d.Schema)
		fields += len(d.Schema.Fields)
		annotations += len(d.Annotations)
	}
	if cost > maxDescriptions {
		return fmt.Errorf("the output of %d data sources with %d fields would need some %d MiB of memory, and gizmo uses at most %d",
			len(sources), fields, cost>>20, maxDescriptions>>20)
	}
	if annotations > maxAnnotations {
		return fmt.Errorf("the annotations of the data sources have %d bytes, and gizmo reads at most %d", annotations, maxAnnotations)
	}
	return nil
}

// costOf estimates how many bytes of memory the output of a data source needs. gizmo adds a field to each whose type has a meaning, and
// copies names into the text before values and into heads.
func costOf(s *event.Schema) int {
	const field, copiesOfName = 2 << 10, 4
	n := 0
	for i := range s.Fields {
		f := &s.Fields[i]
		cost := field + copiesOfName*len(f.Name)
		if f.Enum != nil || slices.ContainsFunc(f.Types, func(t string) bool { return strings.HasPrefix(t, "gadget_") }) {
			cost *= 2
		}
		n += cost
	}
	return n
}

// recordedSpecs returns the annotations that the recording was made with.
func recordedSpecs(h *wire.Header) (specs, error) {
	all := make(specs)
	for _, d := range h.DataSources {
		spec := &annotation.Spec{}
		if len(d.Annotations) > 0 {
			if err := json.Unmarshal(d.Annotations, spec); err != nil {
				return nil, fmt.Errorf("annotations of data source %q: %w", d.Schema.ID(), err)
			}
		}
		all[d.Schema.ID()] = spec
	}
	return all, nil
}
