// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

func TestSignalsEndARunInGoodOrder(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
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

func TestTimeoutEndsARun(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, timeout := range []string{"1", "1s", "0m1s"} {
		t.Run(timeout, func(t *testing.T) {
			t.Parallel()
			kerneltest.Undisturbed(t, func(t *kerneltest.Attempt) {
				g := run(t, setup{}, "run", "trace_open", "-o", "none", "--timeout", timeout)
				g.wantExit(t, 0)
				if t.Within(g.exitedIn, 3*time.Second); g.exitedIn < time.Second {
					t.Errorf("ended after %v, want about 1 s", g.exitedIn)
				}
			})
		})
	}
}
