// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"strings"
	"testing"
)

// TestKeys writes each key to a file with a value of the kind that the row tells, and reads it.
func TestKeys(t *testing.T) {
	t.Parallel()
	values := map[string]string{"text": "x", "mapping": "{}", "list": "[x]", "true or false": "true", "whole number from 1 to 1000000": "5"}
	seen := make(map[string]bool)
	for _, k := range Keys() {
		value, ok := values[k.Value]
		if !ok || k.Doc == "" || seen[k.Path] {
			t.Errorf("a row that says too little, or something twice: %+v", k)
		}
		seen[k.Path] = true
		parts := strings.Split(k.Path, ".")
		text := strings.Join(parts, ": {") + ": " + value + strings.Repeat("}", len(parts)-1)
		m, err := Parse("gadget.yaml", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if _, ok := m.Position(parts...); !ok {
			t.Errorf("%s: there is nothing at %v", text, parts)
		}
	}
	for _, path := range []string{
		"name", "datasources.DATASOURCE.fields.FIELD.annotations", "params.ebpf.VARIABLE.key",
		"params.custom.PARAM.values.VALUE.patch", "programs.PROGRAM.sampler.frequency",
	} {
		if !seen[path] {
			t.Errorf("%s is not listed", path)
		}
	}
}
