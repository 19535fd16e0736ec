// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/stage/filter"
)

var (
	fences  = regexp.MustCompile("(?ms)^```(filter|expr)\n(.*?)^```$")
	comment = regexp.MustCompile(` {2,}#.*$`)
	flags   = regexp.MustCompile(`-(F|E) '([^']*)'`)
)

// TestDocs: each example of the page keeps some events of the sample and removes some.
func TestDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/filters.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	check := func(language, text string) {
		examples++
		parse := filter.New
		if language == "expr" || language == "E" {
			parse = filter.NewExpr
		}
		st, err := parse(map[string]string{"": text})
		if names := kept(t, st, err); names == "" || len(strings.Fields(names)) == len(sampleRows) {
			t.Errorf("%s: kept %q", text, names)
		}
	}
	for _, block := range fences.FindAllStringSubmatch(string(page), -1) {
		for line := range strings.Lines(block[2]) {
			check(block[1], comment.ReplaceAllString(strings.TrimSuffix(line, "\n"), ""))
		}
	}
	for _, flag := range flags.FindAllStringSubmatch(string(page), -1) {
		check(flag[1], flag[2])
	}
	if examples < 24 {
		t.Errorf("only %d examples found", examples)
	}
}
