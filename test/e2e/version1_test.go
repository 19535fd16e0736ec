// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Recordings of version 1 of the format replay to the same bytes as they did when version 1 was the
// newest. The golden files were made then, and are never rewritten.
func TestReplayOfVersion1(t *testing.T) {
	for _, name := range []string{"sources", "clock"} {
		for _, format := range []string{"json", "columns", "yaml"} {
			t.Run(name+"."+format, func(t *testing.T) {
				t.Parallel()
				path := filepath.Join("..", "..", "wire", "testdata", "v1-"+name+".gizmo")
				g := run(t, setup{}, "replay", path, "-o", format)
				g.wantExit(t, 0)
				wantVersion1(t, name+"."+format, g.out.String())
				wantVersion1(t, name+".account", linesOfAccount(g.err.String()))
			})
		}
	}
}

func wantVersion1(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", "version1", file)
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, path, got, string(want))
}

// linesOfAccount returns the lines of the account of losses. How many warnings come before depends on the time.
func linesOfAccount(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "warning: ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
