// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// hostileName is the name of a file that would take over the terminal that shows it, and add a line to the output.
const hostileName = "\x1b]0;owned\x07\u009b31m\u202eb\u200bc\U000e0041d\xff\r\ngizmo: all is well"

// wantPlain checks the output of the program on both streams.
func (p *process) wantPlain(t *testing.T) {
	t.Helper()
	for _, text := range []string{p.out.String(), p.err.String()} {
		if text != plain.Lines(text) || strings.Contains(text, "\ngizmo: all is well") {
			t.Errorf("%q: a terminal would get %q", p.cmd.Args[1:], text)
		}
	}
	if p.out.Len()+p.err.Len() == 0 {
		t.Errorf("%q: nothing was written", p.cmd.Args[1:])
	}
}

// The command's tests have all that can be written without a kernel. These are the ways past their buffers.
func TestHostileArguments(t *testing.T) {
	for _, args := range [][]string{
		{"__complete", "replay", "--" + hostileName, ""}, {"__completeNoDesc", "replay", hostileName, "--=" + hostileName, ""},
		{"__complete", hostileName, ""}, {hostileName}, {"replay", hostileName}, {"run", "./" + hostileName, "-v"},
	} {
		g := run(t, setup{}, args...)
		g.wait(t)
		g.wantPlain(t)
	}
}

// A gadget, its recording and the processes that it reports have hostile names, in a run and in its replay.
func TestHostileNamesInARun(t *testing.T) {
	kerneltest.RequireRoot(t)
	dir := filepath.Join(t.TempDir(), hostileName)
	source, err := os.ReadFile("testdata/kinds.bpf.c")
	if err == nil {
		err = os.Mkdir(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "program.bpf.c"), source, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	o := startOpener(t)
	recording := filepath.Join(dir, "recording")
	cache := setup{env: []string{"XDG_CACHE_HOME=" + t.TempDir()}}
	g := start(t, cache, "run", dir, "--host", "--opener", o.pid(), "--record", recording, "--stats", "-v")
	g.waitAttached(t)
	g.signal(t, syscall.SIGQUIT)
	eventually(t, "the state is told", func() bool { return strings.Contains(g.err.String(), "goroutine 1 [") })
	g.interrupt(t)
	g.wantPlain(t)
	g.wantErr(t, `gizmo: state: run `+filepath.Dir(dir)+`/\x1b]0;owned\x07\u009b31m\u202eb\u200bc\U000e0041d\xff\r\ngizmo: all is well, for `)
	if err := os.Truncate(recording, 100); err != nil {
		t.Fatal(err)
	}
	r := run(t, setup{}, "replay", recording)
	r.wantExit(t, 1)
	r.wantPlain(t)
}
