// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseDeps(t *testing.T) {
	t.Parallel()
	tests := []struct {
		rule string
		want []string
	}{
		{"", nil},
		{"object", nil},
		{"object:", nil},
		{"object: a.c\n", []string{"a.c"}},
		{"object: a.c \\\n  /usr/include/b.h c.h \\\n d.h\n", []string{"a.c", "/usr/include/b.h", "c.h", "d.h"}},
		{`object: with\ space.h x`, []string{"with space.h", "x"}},
		{`object: a\\\ b.h`, []string{`a\ b.h`}},
		{`object: a\b.h`, []string{`a\b.h`}},
		{`object: a$$b\#c.h`, []string{"a$b#c.h"}},
		{"object: a:b.h", []string{"a:b.h"}},
		{`object: a\`, []string{`a\`}},
	}
	for _, test := range tests {
		if got := parseDeps(test.rule); !slices.Equal(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.rule, got, test.want)
		}
	}
}

// The compiler's own way to write odd names is the one that counts.
func TestParseDepsOfClang(t *testing.T) {
	t.Parallel()
	names := []string{"a b.h", "a  b.h", "a$b.h", "a#b.h", "a:b.h", "ü.h", "a'b.h", "a%b.h", "a\tb.h", "a|b.h"}
	b := newBench(t)
	text := program
	for _, name := range names {
		files{name: ""}.write(t, b.gadget)
		text += "#include \"" + name + "\"\n"
	}
	files{"program.bpf.c": text}.write(t, b.gadget)
	b.build()
	if r := b.build(); !r.Cached {
		t.Fatalf("not remembered\n%s", b.log.String())
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(b.gadget, name), []byte("// new\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		age(t, filepath.Join(b.gadget, name))
		if r := b.build(); r.Cached {
			t.Errorf("a change of %q was not seen", name)
		}
	}
}

func FuzzParseDeps(f *testing.F) {
	f.Add("object: a.c \\\n  b\\ c.h d$$e.h f\\#g\n")
	f.Add(`object: \\\ \`)
	f.Fuzz(func(t *testing.T, rule string) {
		for _, name := range parseDeps(rule) {
			if name == "" || strings.ContainsRune(name, '\n') {
				t.Errorf("%q: a file called %q", rule, name)
			}
		}
	})
}
