// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// compare returns what differs between the contents of a and b, places aside.
func compare(a, b *Metadata) string {
	if x, y := describeValue(reflect.ValueOf(*a)), describeValue(reflect.ValueOf(*b)); x != y {
		return fmt.Sprintf("\n%s\n%s", x, y)
	}
	return ""
}

// describeValue writes all exported content in a form in which equal things look equal: empty and
// absent mappings, for example.
func describeValue(v reflect.Value) string {
	if n, ok := v.Interface().(*yaml.Node); ok {
		return describeNode(n)
	}
	var parts []string
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "nil"
		}
		return "&" + describeValue(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				parts = append(parts, f.Name+"="+describeValue(v.Field(i)))
			}
		}
	case reflect.Map:
		m := make(map[string]string) // printed in order
		for _, k := range v.MapKeys() {
			m[k.String()] = describeValue(v.MapIndex(k))
		}
		return fmt.Sprintf("%q", m)
	default:
		return fmt.Sprintf("%q", fmt.Sprint(v.Interface()))
	}
	return "{" + strings.Join(parts, " ") + "}"
}

func describeNode(n *yaml.Node) string {
	if n == nil {
		return "nil"
	}
	var parts []string
	for _, c := range n.Content {
		parts = append(parts, describeNode(c))
	}
	value := n.Value
	if n.ShortTag() == "!!null" {
		value = "" // "~" and "null" are the same
	}
	return fmt.Sprintf("%s %q %s", n.ShortTag(), value, parts)
}
