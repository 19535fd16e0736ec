// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Header says where a recording comes from and what is in it.
type Header struct {
	// Gadget is the name or reference of the gadget as it was run.
	Gadget string `json:"gadget,omitempty"`
	// Gizmo is the version of the gizmo that recorded.
	Gizmo string `json:"gizmo,omitempty"`
	// Start is when the recording began; it is kept in UTC. The zero time stands for unknown.
	Start   time.Time `json:"start,omitzero"`
	Machine Machine   `json:"machine"`
	// DataSources are those whose batches the recording may have. Their IDs differ.
	DataSources []DataSource `json:"dataSources"`
}

// Machine is what has to be known of the machine that the events come from to understand them.
// Zero values stand for unknown.
type Machine struct {
	// Arch is the architecture as Go spells it: "amd64", "arm64".
	Arch string `json:"arch,omitempty"`
	// Kernel is the kernel's release as uname prints it.
	Kernel string `json:"kernel,omitempty"`
	// CPUs is the number of possible CPUs.
	CPUs int `json:"cpus,omitempty"`
	// BootOffset, in nanoseconds, makes Unix time of the time since boot: Unix time = boot time +
	// BootOffset. It holds when the recording begins.
	BootOffset int64 `json:"bootOffset,omitempty"`
	// Users and Groups name the ids of users and groups, so that events read the same elsewhere.
	Users  map[uint32]string `json:"users,omitempty"`
	Groups map[uint32]string `json:"groups,omitempty"`
}

// DataSource is one data source of a recording.
type DataSource struct {
	// Schema describes the rows. Added fields are not recorded.
	Schema *event.Schema `json:"schema"`
	// Annotations are the annotations of the data source and its fields, as they were written: JSON
	// that this package does not look into. White space in it is not kept. Nil for none.
	Annotations json.RawMessage `json:"annotations,omitempty"`
}

// encode returns the header as the payload of its frame.
func (h *Header) encode() ([]byte, error) {
	recorded, err := h.recorded()
	if err != nil {
		return nil, err
	}
	if err := recorded.check(); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(recorded); err != nil {
		return nil, err
	}
	if buf.Len() > maxHeader {
		return nil, fmt.Errorf("it takes %d bytes, and %d is the most", buf.Len(), maxHeader)
	}
	return buf.Bytes(), nil
}

// recorded returns the header as it is recorded: without the fields that stages added.
func (h *Header) recorded() (*Header, error) {
	c := *h
	c.Start = h.Start.UTC()
	c.DataSources = make([]DataSource, len(h.DataSources))
	for i, ds := range h.DataSources {
		if ds.Schema == nil {
			return nil, fmt.Errorf("data source %d has no schema", i)
		}
		n := recordFields(ds.Schema)
		for _, f := range ds.Schema.Fields[n:] {
			// Leaving out a field in the midst would move the others away from under their members.
			if !f.Added {
				return nil, fmt.Errorf("data source %q: field %q of the record comes after added fields", ds.Schema.Name, f.Name)
			}
		}
		schema := *ds.Schema
		schema.Fields = append([]event.Field{}, ds.Schema.Fields[:n]...)
		c.DataSources[i] = DataSource{Schema: &schema, Annotations: ds.Annotations}
	}
	return &c, nil
}

// recordFields returns the number of fields before the first added one.
func recordFields(s *event.Schema) int {
	for i := range s.Fields {
		if s.Fields[i].Added {
			return i
		}
	}
	return len(s.Fields)
}

// headerJSON is Header for reading: Fields stay text until it is known that there are not too many.
type headerJSON struct {
	Header
	DataSources []dataSourceJSON `json:"dataSources"`
}

type dataSourceJSON struct {
	Schema      *schemaJSON     `json:"schema"`
	Annotations json.RawMessage `json:"annotations"`
}

type schemaJSON struct {
	event.Schema
	Fields []json.RawMessage `json:"fields"`
}

// decodeHeader reads the payload of a header's frame.
func decodeHeader(payload []byte) (*Header, error) {
	var raw headerJSON
	if err := json.Unmarshal(payload, &raw); err != nil {
		return nil, err
	}
	if len(raw.DataSources) > maxSources {
		return nil, fmt.Errorf("%d data sources, and %d is the most", len(raw.DataSources), maxSources)
	}
	h := &raw.Header
	h.DataSources = make([]DataSource, len(raw.DataSources))
	for i, ds := range raw.DataSources {
		if ds.Schema == nil {
			return nil, fmt.Errorf("data source %d has no schema", i)
		}
		schema, err := ds.Schema.decode()
		if err != nil {
			return nil, fmt.Errorf("data source %q: %w", ds.Schema.Name, err)
		}
		h.DataSources[i] = DataSource{Schema: schema, Annotations: ds.Annotations}
	}
	return h, h.check()
}

func (s *schemaJSON) decode() (*event.Schema, error) {
	if len(s.Fields) > maxFields {
		return nil, tooManyFields(len(s.Fields))
	}
	schema := s.Schema
	schema.Fields = make([]event.Field, len(s.Fields))
	for i, text := range s.Fields {
		if err := json.Unmarshal(text, &schema.Fields[i]); err != nil {
			return nil, fmt.Errorf("field %d: %w", i, err)
		}
	}
	return &schema, nil
}

// check says whether a reader can rely on the header. Writers check too, so that they write nothing
// that no reader takes.
func (h *Header) check() error {
	if h.Machine.CPUs < 0 || h.Machine.CPUs > maxCPUs {
		return fmt.Errorf("a machine of %d CPUs", h.Machine.CPUs)
	}
	if len(h.DataSources) > maxSources {
		return fmt.Errorf("%d data sources, and %d is the most", len(h.DataSources), maxSources)
	}
	seen := make(map[event.SourceID]bool, len(h.DataSources))
	for _, ds := range h.DataSources {
		if err := validateSchema(ds.Schema); err != nil {
			return fmt.Errorf("data source %q: %w", ds.Schema.Name, err)
		}
		if seen[ds.Schema.ID()] {
			return fmt.Errorf("data source %q appears twice", ds.Schema.ID())
		}
		seen[ds.Schema.ID()] = true
		if len(ds.Annotations) > 0 && !json.Valid(ds.Annotations) {
			return fmt.Errorf("data source %q: its annotations are not JSON", ds.Schema.Name)
		}
	}
	return nil
}
