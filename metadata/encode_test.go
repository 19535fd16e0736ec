// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

func TestEncodeEmpty(t *testing.T) {
	t.Parallel()
	text, err := new(Metadata).Encode()
	if err != nil || len(text) != 0 {
		t.Errorf("got %q, %v, want nothing", text, err)
	}
}

// FuzzEncode writes texts of every look in every kind of place and reads them back.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{
		"plain", "true", "~", "null", "0x10", "1e3", "2001-01-01", "<<", "- a", "a: b", "a #b", "'", `"`, "@", "!x", "&a", "*a", "%",
		"\n", "a\n", "\na", " a\nb", "a\n\n", "\ta\nb", " ", "a ", "é\u00a0\u2028", "\ufeff", "|", ">", "? a", "---", "...", "a\n---\nb", "{", "[a]", "=", "yes",
	} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		if !acceptable(key, "") || key == "" || !acceptable(value, "\n\t") {
			t.Skip("nothing that Parse takes")
		}
		line := strings.Map(func(r rune) rune {
			if r == '\n' || r == '\t' {
				return ' '
			}
			return r
		}, value)
		tree := newMapping()
		addPair(tree, key, newText(value))
		m := &Metadata{
			Name:        line,
			Description: value,
			Annotations: map[string]string{key: value, "other": line},
			DataSources: map[string]annotation.Spec{key: {
				Source: annotation.Set{"description": value, "x-" + key: value},
				Fields: map[string]annotation.Set{key: {"description": value, "columns.alias": line}},
			}},
			Params: Params{
				EBPF:   map[string]Param{key: {Key: line, DefaultValue: &line, Description: value, PossibleValues: []string{line, "", line}}},
				Custom: map[string]CustomParam{key: {Values: map[string]CustomValue{key: {Patch: tree}}}},
			},
			Programs: map[string]Program{key: {AttachTo: line}},
			Operator: tree,
		}
		roundTrip(t, m)
	})
}

// acceptable reports whether s can stand in a file, with control characters only of those given.
func acceptable(s, controls string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) && !strings.ContainsRune(controls, r) || r == 0xFFFE || r == 0xFFFF
	})
}
