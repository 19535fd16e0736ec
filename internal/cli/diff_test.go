// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDiffErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "recording")
	if err := os.WriteFile(file, makeTape(t, 2).bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"":                             "want two recordings, the one before and the one after, got 0 arguments",
		"- -":                          "only one of the recordings can be standard input",
		"FILE nowhere":                 "open nowhere: no such file or directory",
		"FILE FILE -o pprof":           `--output: there is no comparison as "pprof"; there are folded, flamegraph`,
		"FILE FILE -o json":            `--output: there is no comparison as "json"; there are folded, flamegraph`,
		"FILE FILE":                    `--output: folded: data source "count": its events have no stacks`,
		"FILE -":                       "data source \"count\": its events have no stacks", // the file is read first
		"FILE FILE --datasource other": `--output: there is no data source "other"`,
		"FILE FILE -F nothing":         `--filter: `,
	} {
		got := invoke("no recording", append([]string{"diff"}, strings.Fields(strings.ReplaceAll(args, "FILE", file))...)...)
		if got.code != 1 || got.out != "" || !strings.Contains(got.err, want) {
			t.Errorf("%s: %+v, want %s", args, got, want)
		}
	}
}
