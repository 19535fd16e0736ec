// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]sort.Key{
		"pid":                  {{Field: "pid"}},
		"-pid":                 {{Field: "pid", Descending: true}},
		"proc.comm,-bytes,pid": {{Field: "proc.comm"}, {Field: "bytes", Descending: true}, {Field: "pid"}},
		" a , -b\t":            {{Field: "a"}, {Field: "b", Descending: true}},
		"a-b":                  {{Field: "a-b"}},
	} {
		got, err := sort.Parse(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Parse(%q) = %v, %v", text, got, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":          "empty name",
		" ":         "empty name",
		"a,":        "empty name",
		",a":        "empty name",
		"a,,b":      "empty name",
		"-":         "without the name",
		"a,-":       "without the name",
		"+a":        "write the name alone",
		"--a":       "write the name alone",
		"a b":       "commas",
		"- a":       "commas",
		"a,a":       `"a" is named twice`,
		"a,b,-a":    `"a" is named twice`,
		"pid desc":  "commas",
		"-a, b,- b": "commas",
	} {
		keys, err := sort.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, %v; want an error with %q", text, keys, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "a", "-a", "a,-b", " a.b ,--c", "+", "a,a", "é,-\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := sort.Parse(text)
		if err != nil {
			return
		}
		var parts []string
		for i, k := range keys {
			if k.Field == "" || strings.ContainsAny(k.Field, ", ") {
				t.Fatalf("Parse(%q): field %q", text, k.Field)
			}
			for _, other := range keys[:i] {
				if other.Field == k.Field {
					t.Fatalf("Parse(%q): %q twice", text, k.Field)
				}
			}
			parts = append(parts, k.String())
		}
		again, err := sort.Parse(strings.Join(parts, ","))
		if err != nil || !slices.Equal(again, keys) {
			t.Fatalf("Parse(%q) = %v, which reads back as %v, %v", text, keys, again, err)
		}
	})
}
