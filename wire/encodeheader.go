// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/gizmo-ebpf/gizmo/event"
)

// encode returns the header as the payload of its frame.
func (h *Header) encode() ([]byte, error) {
	sources, err := h.describe()
	if err != nil {
		return nil, err
	}
	if err := h.check(sources); err != nil {
		return nil, err
	}
	out := headerOut{Header: *h, DataSources: []sourceOut{}}
	out.Start = h.Start.UTC()
	indices := make(map[string]int) // of schemas, by their JSON
	for i := range sources {
		text, err := sources[i].encode()
		if err != nil {
			return nil, err
		}
		index, known := indices[string(text)]
		if !known {
			index = len(out.Schemas)
			indices[string(text)] = index
			out.Schemas = append(out.Schemas, text)
		}
		id := sources[i].schema.ID()
		out.DataSources = append(out.DataSources, sourceOut{Gadget: id.Gadget, Name: id.Name, Schema: index})
	}
	text, err := encodeJSON(out)
	if err == nil && len(text) > maxHeader {
		err = fmt.Errorf("it takes %d bytes; the limit is %d", len(text), maxHeader)
	}
	return text, err
}

// headerOut is the JSON of a header for writing. Equal schemas are written once.
type headerOut struct {
	Header
	Schemas     []json.RawMessage `json:"schemas,omitempty"`
	DataSources []sourceOut       `json:"dataSources"`
}

type sourceOut struct {
	Gadget string `json:"gadget,omitempty"`
	Name   string `json:"name"`
	Schema int    `json:"schema"`
}

type schemaOut struct {
	Single      bool            `json:"single"`
	Size        uint32          `json:"size"`
	Fields      []event.Field   `json:"fields"`
	Added       []addedField    `json:"added,omitempty"`
	Annotations json.RawMessage `json:"annotations,omitempty"`
}

func (d *description) encode() (json.RawMessage, error) {
	return encodeJSON(schemaOut{
		Single: d.schema.Single, Size: d.schema.Size, Fields: d.schema.Fields, Added: d.added, Annotations: d.annotations,
	})
}

func encodeJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return buf.Bytes(), err
}

// describe returns the descriptions of the data sources to record.
func (h *Header) describe() ([]description, error) {
	sources := make([]description, len(h.DataSources))
	for i, ds := range h.DataSources {
		if ds.Schema == nil {
			return nil, fmt.Errorf("data source %d has no schema", i)
		}
		n := recordFields(ds.Schema)
		for _, f := range ds.Schema.Fields[n:] {
			// Leaving out a field in the middle would change the indices that members refer to.
			if !f.Added {
				return nil, fmt.Errorf("data source %q: field %q of the record comes after added fields", ds.Schema.ID(), f.Name)
			}
		}
		schema := *ds.Schema
		schema.Fields = append([]event.Field{}, ds.Schema.Fields[:n]...)
		added, err := describeAdded(ds.Schema)
		if err != nil {
			return nil, fmt.Errorf("data source %q: %w", ds.Schema.ID(), err)
		}
		sources[i] = description{schema: &schema, added: added, annotations: ds.Annotations}
	}
	return sources, nil
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
