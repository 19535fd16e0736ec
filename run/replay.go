// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"encoding/json"
	"fmt"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/host/userdb"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/semtype"
	"github.com/gizmo-ebpf/gizmo/stage/container"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// Replay returns a run of the events of a recording, which needs neither a kernel nor privileges. The options' Gadgets,
// Host, Annotate and Record do not apply. The run closes the recording, but not the reader below it.
func Replay(recording *wire.Reader, o Options) (*Run, error) {
	specs, err := recordedSpecs(recording.Header())
	if err != nil {
		return nil, err
	}
	if o.Events.Sort != "" {
		recording.KeepValues() // sorting holds events back
	}
	for _, s := range recording.Schemas() {
		container.Restyle(s, recording.Header().Machine.Kubernetes)
		if n := textOf(s); n > maxText {
			return nil, fmt.Errorf("data source %q: an event can have %d bytes of text, and gizmo writes at most %d", s.ID(), n, maxText)
		}
	}
	r := &Run{options: o, sources: []pipeline.Source{recording}}
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

// maxText limits the text of an event, as textOf estimates it: a small recording can declare many fields that each show the
// whole of a large record.
const maxText = 24 << 20

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
