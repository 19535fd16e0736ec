// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// A recording has everything that the run printed: a replay without privileges, in any
// format, prints the same bytes.
func TestReplayPrintsWhatTheRunPrinted(t *testing.T) {
	kerneltest.RequireRoot(t)
	for name, output := range map[string][]string{
		"json":            {"-o", "json"},
		"jsonpretty":      {"-o", "jsonpretty"},
		"yaml":            {"-o", "yaml"},
		"columns":         {"-o", "columns"},
		"none":            {"-o", "none"},
		"exact fields":    {"-o", "json", "--fields", "fname,error,proc.pid"},
		"relative fields": {"-o", "columns", "--fields", "+timestamp,-proc.tid,-mode"},
		"default":         nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recording := filepath.Join(readableDir(t), "recording")
			o := startOpener(t)
			g := start(t, setup{}, append([]string{"run", "trace_open", "--paths",
				"--pid", o.pid(), "--record", recording}, output...)...)
			g.waitAttached(t)
			o.open(t, 100, "/proc/version")
			o.open(t, 100, "/proc/nonexistent/file")
			o.open(t, 1, "/with\ta tab, \"quotes\" and \xff\xfe")
			g.interrupt(t)
			giveToNobody(t, recording)
			r := run(t, setup{user: nobody}, append([]string{"replay", recording}, output...)...)
			r.wantExit(t, 0)
			if name != "none" && g.out.Len() == 0 {
				t.Error("the run printed nothing")
			}
			wantSame(t, "the replay", r.out.String(), g.out.String())
		})
	}
}

// A recording can be made without looking.
func TestRecordWithoutOutput(t *testing.T) {
	kerneltest.RequireRoot(t)
	recording := filepath.Join(readableDir(t), "recording")
	o := startOpener(t)
	g := start(t, setup{}, "run", "trace_open", "--pid", o.pid(), "-o", "none", "--record", recording)
	g.waitAttached(t)
	o.open(t, 100, "/proc/version")
	g.interrupt(t)
	g.wantNoOut(t)
	giveToNobody(t, recording)
	r := run(t, setup{user: nobody}, "replay", recording, "-o", "json")
	r.wantExit(t, 0)
	if n := len(parseEvents(t, r.out.String())); n != 100 {
		t.Errorf("%d events replayed, want 100", n)
	}
}

// A full disk under the recording ends the run: the user wants a complete recording.
func TestRecordToAFullDisk(t *testing.T) {
	kerneltest.RequireRoot(t)
	g := start(t, setup{}, "run", "trace_open", "-o", "none", "--record", "/dev/full", "--timeout", "10")
	g.wantExit(t, 1)
	g.wantErr(t, "--record", "no space left on device")
}

// A run that does not start keeps an older recording unchanged, and leaves no new one.
func TestRunThatFailsKeepsTheRecording(t *testing.T) {
	kerneltest.RequireRoot(t)
	const packets = "../../gadget/testdata/packets" // which does not say where to be attached
	dir := t.TempDir()
	old, fresh := filepath.Join(dir, "old"), filepath.Join(dir, "fresh")
	if err := os.WriteFile(old, []byte("older"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{old, fresh} {
		g := run(t, setup{}, "run", packets, "--record", path, "--timeout", "10")
		g.wantExit(t, 1)
		g.wantErr(t, "no network interface chosen: name one in attach_to of gadget.yaml, or choose one for this run (--iface NAME)")
		g.wantNoOut(t)
	}
	if data, err := os.ReadFile(old); err != nil || string(data) != "older" {
		t.Errorf("the older recording: %q, %v", data, err)
	}
	if _, err := os.Stat(fresh); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a recording of nothing was left: %v", err)
	}
}

// giveToNobody checks that a recording is readable by its owner only, and makes an ordinary user its owner.
func giveToNobody(t *testing.T, recording string) {
	t.Helper()
	if st, err := os.Stat(recording); err != nil || st.Mode() != 0o600 {
		t.Errorf("the recording has the mode %v, %v, want 0600", st.Mode(), err)
	}
	if err := os.Chown(recording, nobody, nobody); err != nil {
		t.Fatal(err)
	}
}

// readableDir is a temporary folder whose files other users can read.
func readableDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gizmo-shared-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
