// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"fmt"

	"github.com/gizmo-ebpf/gizmo/event"
)

// headerIn is the JSON of a header of any version. Lists stay text until it is known that they are not too long.
type headerIn struct {
	Header
	Gadget      json.RawMessage   `json:"gadget"`  // of version 1
	Gadgets     json.RawMessage   `json:"gadgets"` // of version 2
	Schemas     []json.RawMessage `json:"schemas"`
	DataSources []json.RawMessage `json:"dataSources"`
}

// sourceIn is a data source of version 2.
type sourceIn struct {
	Gadget string  `json:"gadget"`
	Name   string  `json:"name"`
	Schema *uint32 `json:"schema"`
}

type schemaIn struct {
	Name        string            `json:"name"` // of version 1
	Single      bool              `json:"single"`
	Size        uint32            `json:"size"`
	Fields      []json.RawMessage `json:"fields"`
	Added       []json.RawMessage `json:"added"`
	Annotations json.RawMessage   `json:"annotations"`
}

// decodeHeader reads the payload of a header's frame. The data sources of the header get their columns from
// newReadSource.
func decodeHeader(version byte, payload []byte) (*Header, []description, error) {
	var in headerIn
	if err := json.Unmarshal(payload, &in); err != nil {
		return nil, nil, err
	}
	if len(in.DataSources) > maxSources {
		return nil, nil, tooMany(len(in.DataSources), "data sources", maxSources)
	}
	if err := in.decodeGadgets(version); err != nil {
		return nil, nil, fmt.Errorf("gadgets: %w", err)
	}
	decode := in.decodeSources
	if version == 1 {
		decode = in.decodeSources1
	}
	sources, err := decode()
	if err != nil {
		return nil, nil, err
	}
	return &in.Header, sources, in.check(sources)
}

// decodeGadgets reads the gadgets of any version: version 1 has only a reference.
func (in *headerIn) decodeGadgets(version byte) error {
	var reference string
	switch {
	case version > 1 && len(in.Gadgets) > 0:
		return json.Unmarshal(in.Gadgets, &in.Header.Gadgets)
	case version == 1 && len(in.Gadget) > 0:
		if err := json.Unmarshal(in.Gadget, &reference); err != nil {
			return err
		}
	}
	if reference != "" {
		in.Header.Gadgets = []Gadget{{Reference: reference}}
	}
	return nil
}

// decodeSources reads the data sources of a header of version 2.
func (in *headerIn) decodeSources() ([]description, error) {
	if len(in.Schemas) > maxSources {
		return nil, tooMany(len(in.Schemas), "schemas", maxSources)
	}
	schemas := make([]description, len(in.Schemas))
	for i, text := range in.Schemas {
		var schema schemaIn
		err := json.Unmarshal(text, &schema)
		if err == nil {
			schemas[i], err = schema.decode()
		}
		if err != nil {
			return nil, fmt.Errorf("schema %d: %w", i, err)
		}
	}
	sources := make([]description, len(in.DataSources))
	for i, text := range in.DataSources {
		var ds sourceIn
		if err := json.Unmarshal(text, &ds); err != nil {
			return nil, fmt.Errorf("data source %d: %w", i, err)
		}
		if ds.Schema == nil {
			return nil, fmt.Errorf("data source %d has no schema", i)
		}
		index := *ds.Schema
		if uint64(index) >= uint64(len(schemas)) {
			return nil, fmt.Errorf("data source %d has schema %d, and there are %d", i, index, len(schemas))
		}
		sources[i] = schemas[index]
		sources[i].shared = schemas[index].schema
		schema := *schemas[index].schema
		schema.Gadget, schema.Name = ds.Gadget, ds.Name
		sources[i].schema = &schema
	}
	return sources, nil
}

// decodeSources1 reads the data sources of a header of version 1.
func (in *headerIn) decodeSources1() ([]description, error) {
	sources := make([]description, len(in.DataSources))
	for i, text := range in.DataSources {
		var ds struct {
			Schema      *schemaIn       `json:"schema"`
			Annotations json.RawMessage `json:"annotations"`
		}
		if err := json.Unmarshal(text, &ds); err != nil {
			return nil, fmt.Errorf("data source %d: %w", i, err)
		}
		schema := ds.Schema
		if schema == nil {
			return nil, fmt.Errorf("data source %d has no schema", i)
		}
		schema.Added, schema.Annotations = nil, ds.Annotations
		var err error
		if sources[i], err = schema.decode(); err != nil {
			return nil, fmt.Errorf("data source %q: %w", schema.Name, err)
		}
	}
	return sources, nil
}

func (in *schemaIn) decode() (description, error) {
	if n := len(in.Fields) + len(in.Added); n > maxFields {
		return description{}, tooMany(n, "fields", maxFields)
	}
	d := description{annotations: in.Annotations, schema: &event.Schema{
		Name: in.Name, Single: in.Single, Size: in.Size, Fields: make([]event.Field, len(in.Fields)),
	}}
	for i, text := range in.Fields {
		if err := json.Unmarshal(text, &d.schema.Fields[i]); err != nil {
			return d, fmt.Errorf("field %d: %w", i, err)
		}
	}
	if len(in.Added) > 0 {
		d.added = make([]addedField, len(in.Added))
	}
	for i, text := range in.Added {
		if err := json.Unmarshal(text, &d.added[i]); err != nil {
			return d, fmt.Errorf("added field %d: %w", i, err)
		}
	}
	return d, nil
}
