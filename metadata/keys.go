// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import "fmt"

// KeyDoc describes a key of a gadget.yaml.
type KeyDoc struct {
	// Path is the key with those around it, outermost first and with dots between them. Names of
	// things are in capitals: "params.ebpf.VARIABLE.key".
	Path string
	// Value describes the values that the key takes.
	Value string
	// Doc is one sentence for gadget authors.
	Doc string
}

// Keys returns all keys in the order of the tables, those around others before them. The keys of
// annotations are the business of package annotation.
func Keys() []KeyDoc { return metadataShape().schema().keys(nil, "") }

// OperatorKeys describes the keys below "operator" that gizmo reads; a file may have others.
func OperatorKeys() []KeyDoc { return operatorShape().schema().keys(nil, "") }

// keys appends the rows of the keys in the mapping s.
func (s *schema) keys(list []KeyDoc, path string) []KeyDoc {
	for _, name := range s.order {
		p := s.Properties[name]
		list = append(list, KeyDoc{Path: path + name, Value: p.describeValue(), Doc: p.Description})
		list = p.keys(list, path+name+".")
		if of := p.AdditionalProperties; of != nil && of.schema != nil {
			list = of.schema.keys(list, path+name+"."+thing(name)+".")
		}
	}
	return list
}

// thing is the kind of thing that the keys of a mapping name.
func thing(key string) string {
	switch key {
	case keyDataSources:
		return "DATASOURCE"
	case keyFields:
		return "FIELD"
	case keyEBPF:
		return "VARIABLE"
	case keyPrograms:
		return "PROGRAM"
	case keyCustom, keyWasm:
		return "PARAM"
	case "paramDefaults":
		return "FLAG"
	case "values":
		return "VALUE"
	}
	return "NAME"
}

func (s *schema) describeValue() string {
	switch {
	case s.Items != nil:
		return "list"
	case s.Enum != nil:
		return boolValue.String() // the only choice there is outside annotations
	case s.Minimum != nil && s.Types[0] == "string":
		return spanValue.String()
	case s.Minimum != nil:
		return fmt.Sprintf("whole number from %d to %d", *s.Minimum, *s.Maximum)
	case s.Types[0] == "object":
		return "mapping"
	}
	return "text"
}
