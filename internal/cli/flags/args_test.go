// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"strings"
	"testing"
)

// Flags that are read before parsing have the same values after parsing.
func TestFlagsBeforeParsing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args   string
		strict bool
		clang  string
	}{
		{"", false, ""},
		{"--strict x", true, ""},
		{"x --strict=true", true, ""},
		{"x --strict=false", false, ""},
		{"x --strict --strict=0", false, ""},
		{"x --stricter --clangs=b", false, ""},
		{"x --clang a", false, "a"},
		{"x --clang=a --clang=b", false, "b"},
		{"x --clang", false, ""},
	} {
		args := strings.Fields(c.args)
		if strict, clang := IsSet(args, "strict"), ValueOf(args, "clang"); strict != c.strict || clang != c.clang {
			t.Errorf("%q: got %v, %q", c.args, strict, clang)
		}
	}
}
