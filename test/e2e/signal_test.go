// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

func TestSignalsEndARunInGoodOrder(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(s.String(), func(t *testing.T) {
			o := startOpener(t)
			g := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", o.pid())
			held := g.waitAttached(t)
			o.open(t, 100, "/proc/version")
			g.signal(t, s)
			g.wantExit(t, 0)
			if n := len(parseEvents(t, g.out.String())); n != 100 {
				t.Errorf("%d events came out, want all 100", n)
			}
			wantGone(t, held)
		})
	}
}

// Who does not read keeps a run from ending, but not from being ended.
func TestSecondInterruptEndsAtOnce(t *testing.T) {
	kerneltest.RequireRoot(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	o := startOpener(t)
	g := start(t, setup{out: w}, "run", "trace_open", "-o", "json", "--pid", o.pid())
	w.Close()
	held := g.waitAttached(t)
	o.open(t, 5000, "/proc/version") // more than the pipe takes
	g.signal(t, syscall.SIGINT)
	select {
	case <-g.ended:
		t.Fatalf("ended although nobody had read its output: %v", g.cmd.ProcessState)
	case <-time.After(300 * time.Millisecond):
	}
	again := time.Now()
	g.signal(t, syscall.SIGINT)
	g.wait(t)
	if took := time.Since(again); took > time.Second {
		t.Errorf("the second signal took %v", took)
	}
	if code := g.cmd.ProcessState.ExitCode(); code == 0 {
		t.Error("exit code 0 although output was lost")
	}
	wantGone(t, held)
}

func TestTimeoutEndsARun(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, timeout := range []string{"1", "1s", "0m1s"} {
		t.Run(timeout, func(t *testing.T) {
			t.Parallel()
			g := run(t, setup{}, "run", "trace_open", "-o", "none", "--timeout", timeout)
			g.wantExit(t, 0)
			if g.exitedIn < time.Second || g.exitedIn > 3*time.Second {
				t.Errorf("ended after %v, want about 1 s", g.exitedIn)
			}
		})
	}
}
