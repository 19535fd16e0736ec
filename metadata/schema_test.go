// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestSchemaFile fails when the tables have changed since the file was written.
func TestSchemaFile(t *testing.T) {
	t.Parallel()
	want, err := JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../schema/gadget.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("schema/gadget.schema.json is stale; run go generate ./metadata")
	}
}

// TestSchemaAgrees validates all test files by the schema: the schema accepts the files that Parse accepts, and
// refuses those that Parse refuses for their form.
func TestSchemaAgrees(t *testing.T) {
	t.Parallel()
	text, err := JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonSchema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	for file, data := range inputs(t, "valid") {
		if err := s.validate(treeOf(t, file, data)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	for _, name := range []string{"values", "unknown-only", "many", "text", "list"} {
		file := filepath.Join("testdata", "invalid", name+".yaml")
		if s.validate(treeOf(t, file, inputs(t, "invalid")[file])) == nil {
			t.Errorf("%s: the schema takes it", file)
		}
	}
}

// TestSchemaValues compares Parse and the schema value by value.
func TestSchemaValues(t *testing.T) {
	t.Parallel()
	text, err := JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonSchema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	const field = "datasources: {d: {fields: {f: {annotations: {%s}}}}}"
	const source = "datasources: {d: {annotations: {%s}}}"
	for _, test := range []struct {
		format, text string
		ok           bool
	}{
		{field, "columns.width: 4096", true},
		{field, "columns.width: '20'", true},
		{field, "columns.width: 4097", false},
		{field, "columns.width: -1", false},
		{field, "columns.width: wide", false},
		{field, "columns.hidden: true", true},
		{field, "columns.hidden: 'FALSE'", true},
		{field, "columns.hidden: yes", false},
		{field, "columns.hidden: 1", false},
		{field, "columns.alignment: right", true},
		{field, "columns.alignment: up", false},
		{field, "columns.replace: a.b-c_d", true},
		{field, "columns.replace: a..b", false},
		{field, "columns.replace: 5", true},
		{field, "columns.alias: 5", true},
		{field, "columns.alias: [5]", false},
		{field, "template: pid", true},
		{field, "template: pidd", false},
		{field, "description: ", true},
		{field, "hidden: true", false},
		{field, "x-a: {}", false},
		{field, "x-a: b", true},
		{field, "a.b/c: 5", true},
		{field, "a/c: 5", false},
		{field, "metrics.type: gauge", true},
		{field, "metrics.type: gouge", false},
		{source, "fetch-interval: 0", true},
		{source, "fetch-interval: 1", false},
		{source, "fetch-interval: 1h1.5m", true},
		{source, "fetch-interval: -1s", false},
		{source, "fetch-interval: soon", false},
		{source, "fetch-count: 3", true},
		{source, "columns.width: 3", false},
		{"programs: {p: {%s}}", "perf.type: x", true},
		{"programs: {p: {%s}}", "perf.typ: x", false},
		{"programs: {p: {%s}}", "sampler.frequency: 0", false},
		{"params: {ebpf: {p: {%s}}}", "isMandatory: yes", false},
		{"params: {ebpf: {p: {%s}}}", "possibleValues: [1, a, true]", true},
		{"params: {ebpf: {p: {%s}}}", "possibleValues: [{}]", false},
		{"params: {ebpf: {p: {%s}}}", "patch: {}", false},
		{"params: {custom: {p: {%s}}}", "patch: {}", true},
		{"operator: %s", "{a: [b, {c: d}]}", true},
		{"operator: %s", "5", false},
	} {
		data := []byte(fmt.Sprintf(test.format, test.text))
		if _, err := Parse("x", data); (err == nil) != test.ok {
			t.Errorf("%s: Parse returned %v", data, err)
		}
		if err := s.validate(treeOf(t, test.text, data)); (err == nil) != test.ok {
			t.Errorf("%s: the schema says %v", data, err)
		}
	}
}

// treeOf decodes YAML the way an editor sees it.
func treeOf(t *testing.T, name string, data []byte) any {
	t.Helper()
	var tree any
	if err := yaml.Unmarshal(data, &tree); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return tree
}

// jsonSchema is as much of a JSON Schema validator as the schema needs. It refuses schemas with
// words that it does not know.
type jsonSchema struct {
	known schemaWords
	never bool
}

type schemaWords struct {
	Dialect              string                 `json:"$schema"`
	Title                string                 `json:"title"`
	Description          string                 `json:"description"`
	Types                []string               `json:"type"`
	Enum                 []any                  `json:"enum"`
	Pattern              string                 `json:"pattern"`
	Minimum              *int                   `json:"minimum"`
	Maximum              *int                   `json:"maximum"`
	Items                *jsonSchema            `json:"items"`
	Properties           map[string]*jsonSchema `json:"properties"`
	PatternProperties    map[string]*jsonSchema `json:"patternProperties"`
	AdditionalProperties *jsonSchema            `json:"additionalProperties"`
}

func (s *jsonSchema) UnmarshalJSON(data []byte) error {
	if string(data) == "false" {
		s.never = true
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(&s.known)
}

func (s *jsonSchema) validate(v any) error {
	if s.never {
		return fmt.Errorf("%v is not allowed", v)
	}
	w := &s.known
	if w.Enum != nil && !slices.Contains(w.Enum, v) {
		return fmt.Errorf("%v is none of %v", v, w.Enum)
	}
	if w.Types != nil && !slices.ContainsFunc(jsonTypes(v), func(t string) bool { return slices.Contains(w.Types, t) }) {
		return fmt.Errorf("%v is none of %v", v, w.Types)
	}
	switch v := v.(type) {
	case string:
		if w.Pattern != "" && !regexp.MustCompile(w.Pattern).MatchString(v) {
			return fmt.Errorf("%q does not match %s", v, w.Pattern)
		}
	case int:
		if w.Minimum != nil && v < *w.Minimum || w.Maximum != nil && v > *w.Maximum {
			return fmt.Errorf("%d is out of bounds", v)
		}
	case []any:
		for _, item := range v {
			if w.Items == nil {
				break
			}
			if err := w.Items.validate(item); err != nil {
				return err
			}
		}
	case map[string]any:
		return w.validateObject(v)
	}
	return nil
}

func (w *schemaWords) validateObject(object map[string]any) error {
	for name, v := range object {
		s := w.Properties[name]
		for pattern, p := range w.PatternProperties {
			if regexp.MustCompile(pattern).MatchString(name) {
				s = p
			}
		}
		if s == nil {
			s = w.AdditionalProperties
		}
		if s == nil {
			continue
		}
		if err := s.validate(v); err != nil {
			return fmt.Errorf("%s: %w", strconv.Quote(name), err)
		}
	}
	return nil
}

func jsonTypes(v any) []string {
	switch v.(type) {
	case nil:
		return []string{"null"}
	case string:
		return []string{"string"}
	case bool:
		return []string{"boolean"}
	case int:
		return []string{"integer", "number"}
	case float64:
		return []string{"number"}
	case []any:
		return []string{"array"}
	case map[string]any:
		return []string{"object"}
	}
	return nil
}
