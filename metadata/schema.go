// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// schema is the part of JSON Schema that describes a gadget.yaml.
type schema struct {
	Dialect              string             `json:"$schema,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Types                []string           `json:"type,omitempty"`
	Enum                 []json.RawMessage  `json:"enum,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	Minimum              *int               `json:"minimum,omitempty"`
	Maximum              *int               `json:"maximum,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	PatternProperties    map[string]*schema `json:"patternProperties,omitempty"`
	AdditionalProperties *others            `json:"additionalProperties,omitempty"`

	// order has the names of Properties in the order of the table.
	order []string
}

// others says which further keys a mapping may have besides those listed: any, with values of a form, or,
// if schema is nil, none.
type others struct{ schema *schema }

// MarshalJSON writes the form, or false.
func (o others) MarshalJSON() ([]byte, error) {
	if o.schema == nil {
		return []byte("false"), nil
	}
	return json.Marshal(o.schema)
}

// JSONSchema returns a JSON Schema of gadget.yaml, for editors. It is generated from the tables that
// Parse uses. The schema accepts every file that Parse accepts; Parse finds some errors that the schema
// does not.
func JSONSchema() ([]byte, error) {
	s := metadataShape().schema()
	s.Dialect = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "gadget.yaml"
	s.Description = "What the author of a gadget says about it beside its code."
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (o object[T]) schema() *schema {
	s := mappingSchema(nil)
	s.Properties = make(map[string]*schema)
	for _, m := range o.members {
		s.Properties[m.name] = describe(m.schema(), m.doc)
	}
	s.order = o.names()
	if o.dotted {
		addDotted(s)
	}
	return s
}

// addDotted adds the members of members in their dotted spelling.
func addDotted(s *schema) {
	dotted := make(map[string]*schema)
	for outer, part := range s.Properties {
		for inner, value := range part.Properties {
			dotted[outer+"."+inner] = value
		}
	}
	for name, value := range dotted {
		s.Properties[name] = value
	}
}

func (d dict[V]) schema() *schema { return mappingSchema(d.value.schema()) }
func (t text) schema() *schema    { return valueSchema(annotation.Value{Kind: t.kind}) }
func (yesNo) schema() *schema     { return valueSchema(boolValue) }
func (s number) schema() *schema  { return valueSchema(s.value()) }
func (span) schema() *schema      { return valueSchema(spanValue) }
func (count) schema() *schema     { return valueSchema(countValue) }
func (tree) schema() *schema      { return &schema{Types: []string{"object", "null"}} }
func (t texts) schema() *schema {
	return &schema{Types: []string{"array", "null"}, Items: t.text.schema()}
}
func (t optionalText) schema() *schema { return t.text.schema() }

func (a annotations[T]) schema() *schema {
	s := mappingSchema(nil)
	s.Properties = make(map[string]*schema)
	for _, k := range a.keys {
		s.Properties[k.Name] = describe(valueSchema(k.Value), k.Doc)
	}
	s.PatternProperties = map[string]*schema{foreignPattern: textSchema()}
	return s
}

// foreignPattern matches what annotation.Foreign accepts.
const foreignPattern = `^x-.|^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+/.`

// describe gives a schema the table's sentence.
func describe(s *schema, doc string) *schema {
	s.Description = doc
	return s
}

func mappingSchema(value *schema) *schema {
	return &schema{Types: []string{"object", "null"}, AdditionalProperties: &others{value}}
}

// textSchema accepts text in YAML: numbers and similar values need no quotes.
func textSchema() *schema { return &schema{Types: []string{"string", "number", "boolean", "null"}} }

func valueSchema(v annotation.Value) *schema {
	switch v.Kind {
	case annotation.Name:
		return &schema{Types: []string{"string", "number", "boolean"}, Pattern: `^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`}
	case annotation.Bool:
		return boolSchema()
	case annotation.Whole:
		return &schema{Types: []string{"integer", "string"}, Pattern: "^-?[0-9]+$", Minimum: &v.Min, Maximum: &v.Max}
	case annotation.Duration:
		return &schema{Types: []string{"string", "integer"}, Pattern: `^\+?(0|([0-9.]+(ns|us|µs|μs|ms|s|m|h))+)$`, Minimum: new(int), Maximum: new(int)}
	case annotation.OneOf:
		return &schema{Enum: quoted(v.Choices)}
	case annotation.List, annotation.Numbers:
		return &schema{Types: []string{"string", "number", "boolean"}}
	}
	return textSchema()
}

func boolSchema() *schema {
	yes, no := annotation.BoolTexts()
	s := &schema{Enum: []json.RawMessage{json.RawMessage("true"), json.RawMessage("false")}}
	s.Enum = append(s.Enum, quoted(yes)...)
	s.Enum = append(s.Enum, quoted(no)...)
	return s
}

// quoted returns the texts as JSON. They come from tables and need no escapes.
func quoted(texts []string) []json.RawMessage {
	list := make([]json.RawMessage, len(texts))
	for i, t := range texts {
		list[i] = json.RawMessage(strconv.Quote(t))
	}
	return list
}
