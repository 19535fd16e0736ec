// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Header says where a recording comes from and what is in it.
type Header struct {
	// Gadgets are the gadgets of the run. Their names differ.
	Gadgets []Gadget `json:"gadgets,omitempty"`
	// Gizmo is the version of the gizmo that recorded.
	Gizmo string `json:"gizmo,omitempty"`
	// Start is when the recording began; it is kept in UTC. The zero time means unknown.
	Start   time.Time `json:"start,omitzero"`
	Machine Machine   `json:"machine"`
	// DataSources are the data sources whose batches the recording may have. Their IDs differ.
	DataSources []DataSource `json:"-"`
}

// Gadget is one gadget of a recorded run.
type Gadget struct {
	// Name is the name of the instance, which the gadget's data sources refer to (event.Schema.Gadget). It may be
	// empty, as it is in a run of one gadget.
	Name string `json:"name,omitempty"`
	// Reference is the name or the image reference of the gadget as it was run. Escape it before writing it to a
	// terminal.
	Reference string `json:"reference,omitempty"`
	// Metadata is the gadget's metadata: JSON that this package does not interpret. Nil for none.
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// Machine holds the facts about the machine that are needed to understand its events.
// Zero values mean unknown. Changes while the recording goes on come as facts: see Writer.SetFact.
type Machine struct {
	// Arch is the architecture as Go spells it: "amd64", "arm64".
	Arch string `json:"arch,omitempty"`
	// Kernel is the kernel's release as uname prints it.
	Kernel string `json:"kernel,omitempty"`
	// CPUs is the number of possible CPUs.
	CPUs int `json:"cpus,omitempty"`
	// BootOffset, in nanoseconds, converts the time since boot to Unix time: Unix time = boot time +
	// BootOffset. It is the value at the beginning of the recording.
	BootOffset int64 `json:"bootOffset,omitempty"`
	// Kubernetes says that the machine is a node of a Kubernetes cluster, which decides how events are shown.
	Kubernetes bool `json:"kubernetes,omitempty"`
	// Users and Groups name the ids of users and groups, so that events read the same elsewhere.
	Users  map[uint32]string `json:"users,omitempty"`
	Groups map[uint32]string `json:"groups,omitempty"`
}

// DataSource is one data source of a recording.
type DataSource struct {
	// Schema describes the rows. Its columns are recorded, with their fields; added fields that have a Text are not.
	Schema *event.Schema
	// Annotations are the annotations of the data source and its fields, as they were written: JSON
	// that this package does not interpret. White space in it is not kept. Nil for none.
	Annotations json.RawMessage
}

// description is what a header says about a data source.
type description struct {
	schema      *event.Schema // without added fields
	added       []addedField
	annotations json.RawMessage
	shared      *event.Schema // the schema that all data sources of this description share; nil if it is only theirs
}

// check returns an error unless a reader can rely on the header. Writers check, too, so that they write nothing
// that readers refuse.
func (h *Header) check(sources []description) error {
	if h.Machine.CPUs < 0 || h.Machine.CPUs > maxCPUs {
		return fmt.Errorf("a machine of %d CPUs", h.Machine.CPUs)
	}
	gadgets, err := h.checkGadgets()
	if err != nil {
		return err
	}
	if err := checkCounts(sources); err != nil {
		return err
	}
	seen := make(map[event.SourceID]bool, len(sources))
	checked := make(map[*event.Schema]bool)
	for i := range sources {
		id, shared := sources[i].schema.ID(), sources[i].shared
		err := checkName(id.Name)
		if err == nil && !checked[shared] {
			err = sources[i].check()
		}
		if err != nil {
			return fmt.Errorf("data source %q: %w", id, err)
		}
		checked[shared] = shared != nil
		if seen[id] {
			return fmt.Errorf("data source %q appears twice", id)
		}
		seen[id] = true
		if id.Gadget != "" && !gadgets[id.Gadget] {
			return fmt.Errorf("data source %q: its gadget is not in the list of gadgets", id)
		}
	}
	return nil
}

// checkGadgets returns the names of the gadgets.
func (h *Header) checkGadgets() (map[string]bool, error) {
	if len(h.Gadgets) > maxGadgets {
		return nil, tooMany(len(h.Gadgets), "gadgets", maxGadgets)
	}
	names := make(map[string]bool, len(h.Gadgets))
	for i := range h.Gadgets {
		g := &h.Gadgets[i]
		if err := checkText(g.Name); err != nil {
			return nil, fmt.Errorf("gadget %d: %w", i, err)
		}
		if names[g.Name] {
			return nil, fmt.Errorf("gadget %q appears twice", g.Name)
		}
		names[g.Name] = true
		if len(g.Metadata) > 0 && !json.Valid(g.Metadata) {
			return nil, fmt.Errorf("gadget %q: its metadata is not JSON", g.Name)
		}
	}
	return names, nil
}

// checkCounts limits the memory that the schemas of all data sources take together. It can be many times
// the size of the header, because data sources share equal schemas in it.
func checkCounts(sources []description) error {
	if len(sources) > maxSources {
		return tooMany(len(sources), "data sources", maxSources)
	}
	fields := 0
	for i := range sources {
		fields += len(sources[i].schema.Fields) + len(sources[i].added)
	}
	if fields > maxAllFields {
		return tooMany(fields, "fields in all data sources", maxAllFields)
	}
	return nil
}

func (d *description) check() error {
	if err := validateSchema(d.schema); err != nil {
		return err
	}
	if err := checkAdded(d.schema, d.added); err != nil {
		return err
	}
	if len(d.annotations) > 0 && !json.Valid(d.annotations) {
		return fmt.Errorf("its annotations are not JSON")
	}
	return nil
}

func tooMany(n int, what string, most int) error {
	return fmt.Errorf("%d %s; the limit is %d", n, what, most)
}
