// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// replayLines replays the recording of trace_open with one field, and returns the values and the
// sums of the ledger.
func replayLines(t *testing.T, field string, flags ...string) (values []string, ledger string) {
	t.Helper()
	g := run(t, setup{}, append([]string{"replay", recordingOf("trace_open"), "-v", "--fields", field}, flags...)...)
	g.wantExit(t, 0)
	for line := range strings.Lines(g.out.String()) {
		values = append(values, strings.TrimSpace(line))
	}
	return values[1:], g.err.String()
}

func TestFiltersKeepWhatHolds(t *testing.T) {
	t.Parallel()
	all, _ := replayLines(t, "error")
	failed := 0
	for _, e := range all {
		if e != "" {
			failed++
		}
	}
	if failed == 0 || failed == len(all) {
		t.Fatalf("%d of %d events failed: nothing to tell apart", failed, len(all))
	}
	for _, flags := range [][]string{
		{"--filter", "error!="},
		{"-F", "error_raw>0"},
		{"-E", `error != ""`},
		{"--filter-expr", "error_raw > 0"},
	} {
		got, ledger := replayLines(t, "error", flags...)
		if len(got) != failed || slices.Contains(got, "") {
			t.Errorf("%v: %q", flags, got)
		}
		want := fmt.Sprintf("open: %d events produced, %d delivered, %d filtered, 0 lost", len(all), failed, len(all)-failed)
		if !strings.Contains(ledger, want) {
			t.Errorf("%v: the ledger says %q, want %q", flags, ledger, want)
		}
	}
}

func TestSortPutsARecordingInOrder(t *testing.T) {
	t.Parallel()
	all, _ := replayLines(t, "fd")
	got, _ := replayLines(t, "fd", "--sort", "-fd")
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if !slices.IsSortedFunc(got, func(a, b string) int { return number(b) - number(a) }) || len(got) != len(all) || slices.Equal(got, all) {
		t.Errorf("%d events: %v, of %v", len(got), got, all)
	}
}

func TestCustomParamPatchesTheMetadata(t *testing.T) {
	kerneltest.RequireProgram(t, "clang", "clang-19")
	dir := filepath.Join(t.TempDir(), "detailed")
	if err := os.CopyFS(dir, os.DirFS("../../gadgets/trace_open")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "gadget.yaml")
	yaml, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	yaml = append(yaml, `  custom:
    detail:
      defaultValue: little
      values:
        little: {}
        much: {patch: {datasources: {open: {annotations: {cli.default-output-mode: json}}}}}
`...)
	if err := os.WriteFile(path, yaml, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, setup{}, "image", "build", dir).wantExit(t, 0)
	g := run(t, setup{}, "run", dir, "--detail", "muhc")
	g.wantExit(t, 1)
	g.wantErr(t, `unknown value "muhc"; did you mean "much"?`)

	kerneltest.RequireRoot(t)
	for value, table := range map[string]bool{"little": true, "much": false} {
		g := run(t, setup{}, "run", dir, "--detail", value, "-t", "0.3")
		g.wantExit(t, 0)
		if strings.HasPrefix(g.out.String(), "RUNTIME.CONTAINERNAME") != table {
			t.Errorf("--detail %s: the output begins %.60q", value, g.out.String())
		}
	}
}
