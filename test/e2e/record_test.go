// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// noNames leaves out the names of users and groups, which recordings do not have.
const noNames = "open.proc.creds.user:json.skip=true,open.proc.creds.group:json.skip=true"

// A recording holds all that the run printed but names of users: replayed by somebody without
// privileges, in any format, it comes out byte for byte the same.
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
				"--pid", o.pid(), "--record", recording, "--annotate", noNames}, output...)...)
			g.waitAttached(t)
			o.open(t, 100, "/proc/version")
			o.open(t, 100, "/nonexistent/file")
			o.open(t, 1, "/with\ta tab, \"quotes\" and \xff\xfe")
			g.interrupt(t)
			r := run(t, setup{user: nobody}, append([]string{"replay", recording}, output...)...)
			r.wantExit(t, 0)
			if name != "none" && g.out.Len() == 0 {
				t.Error("the run printed nothing")
			}
			wantSame(t, "the replay", r.out.String(), g.out.String())
		})
	}
}

// Names of users are those of the machine that looks, which is no good for a recording of another.
// Numbers stand for them.
func TestReplayShowsNumbersOfUsers(t *testing.T) {
	kerneltest.RequireRoot(t)
	recording := filepath.Join(readableDir(t), "recording")
	o := startOpener(t)
	g := start(t, setup{}, "run", "trace_open", "--pid", o.pid(), "-o", "json", "--fields", "proc.creds", "--record", recording)
	g.waitAttached(t)
	o.open(t, 1, "/proc/version")
	g.interrupt(t)
	r := run(t, setup{user: nobody}, "replay", recording, "-o", "json", "--fields", "proc.creds")
	r.wantExit(t, 0)
	wantSame(t, "the run's output", g.out.String(), `{"proc":{"creds":{"gid":0,"group":"root","uid":0,"user":"root"}}}`+"\n")
	wantSame(t, "the replay's output", r.out.String(), `{"proc":{"creds":{"gid":0,"group":"0","uid":0,"user":"0"}}}`+"\n")
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
	r := run(t, setup{user: nobody}, "replay", recording, "-o", "json")
	r.wantExit(t, 0)
	if n := len(parseEvents(t, r.out.String())); n != 100 {
		t.Errorf("%d events replayed, want 100", n)
	}
}

// A full disk under the recording ends the run: who asked for a recording wants it whole.
func TestRecordToAFullDisk(t *testing.T) {
	kerneltest.RequireRoot(t)
	g := start(t, setup{}, "run", "trace_open", "-o", "none", "--record", "/dev/full", "--timeout", "10")
	g.wantExit(t, 1)
	g.wantErr(t, "--record", "no space left on device")
}

// readableDir is a temporary folder whose files other users can read.
func readableDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(filepath.Dir(gizmoPath), "shared-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
