// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"
)

// completions returns the completions of the last of args that a shell gets, without the descriptions,
// and whether it also completes names of files.
func completions(t *testing.T, args ...string) (words []string, files bool) {
	t.Helper()
	got := invoke("", append([]string{"__complete"}, args...)...)
	lines := strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")
	if got.code != 0 {
		t.Fatalf("%q: %+v", args, got)
	}
	for _, line := range lines[:len(lines)-1] {
		word, _, _ := strings.Cut(line, "\t")
		words = append(words, word)
	}
	return words, lines[len(lines)-1] == ":0"
}

// Which flags there are depends on the gadget.
func TestCompletionOfTheFlagsOfGadgets(t *testing.T) {
	dir := gadgetDir(t, `datasources: {calls: {}}
params:
  ebpf: {least: {description: How many, key: minimum}}
  custom: {mode: {description: Which way}}
`)
	imageBuild(t, dir)
	for _, c := range []struct {
		args  string
		want  string
		files bool
	}{
		{"DIR --mi", "--minimum", false},
		{"DIR --m", "--max-entries --metrics-max-series --metrics-expiry --mode --minimum", false},
		{"-o json DIR --mi", "--minimum", false},
		{"DIR -t 1 --mode x --mi", "--minimum", false},
		{"DIR --le", "", false},
		{"DIR --out", "--output --output-file", false},
		{"DIR --filter.", "", false}, // hidden
		{"DIR --minimum ", "", true},
		{"DIR --record ", "", true},
		{"DIR --output-file ", "", true},
		{"DIR --failed ", "", false}, // takes no value
		{"DIR ", "", false},
		{"--mi", "", false},
		{"--record ", "", true},
		{"./nowhere --mi", "", false},
		{"./nowhere --out", "--output --output-file", false},
	} {
		args := strings.Split(strings.ReplaceAll("run "+c.args, "DIR", dir), " ")
		words, files := completions(t, args...)
		got := make(map[string]bool)
		for _, w := range words {
			got[w] = true
		}
		for _, w := range strings.Fields(c.want) {
			if !got[w] {
				t.Errorf("%s: %q lacks %s", c.args, words, w)
			}
		}
		if len(words) != len(strings.Fields(c.want)) || files != c.files {
			t.Errorf("%s: got %q, files %v; want %s, %v", c.args, words, files, c.want, c.files)
		}
	}
	if got := invoke("", "__complete", "run", dir, "--mi"); !strings.HasPrefix(got.out, "--minimum\tHow many\n") {
		t.Errorf("got %+v", got)
	}
}
