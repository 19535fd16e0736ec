// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"os"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// As in "gizmo run trace_open | head -1".
func TestClosedPipeEndsARunQuietly(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, format := range []string{"json", "columns"} {
		t.Run(format, func(t *testing.T) {
			kerneltest.Undisturbed(t, func(t *kerneltest.Attempt) {
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				o := startOpener(t)
				g := start(t, setup{out: w}, "run", "trace_open", "-o", format, "--pid", o.pid())
				w.Close()
				held := g.waitAttached(t)
				o.begin(t, 200000, "/proc/version")
				if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
					t.Fatal(err)
				}
				r.Close()
				closed := time.Now()
				g.wantExit(t, 0)
				t.Within(time.Since(closed), 2*time.Second)
				if text := g.err.String(); text != "" {
					t.Errorf("unexpected on standard error: %s", text)
				}
				wantGone(t, held)
			})
		})
	}
}

func TestFullDiskIsAnError(t *testing.T) {
	kerneltest.RequireRoot(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	o := startOpener(t)
	g := start(t, setup{out: full}, "run", "trace_open", "-o", "json", "--pid", o.pid())
	held := g.waitAttached(t)
	o.open(t, 50, "/proc/version")
	g.wantExit(t, 1)
	g.wantErr(t, "no space left on device")
	got := ledgerOf(t, g)
	if got.delivered != 0 || got.lost == 0 || got.produced != got.lost {
		t.Errorf("%+v, want that all events are counted as lost", got)
	}
	wantGone(t, held)
}

// The header of the columns is the first thing that cannot be written.
func TestFullDiskBeforeTheFirstEvent(t *testing.T) {
	kerneltest.RequireRoot(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	g := run(t, setup{out: full}, "run", "trace_open", "-o", "columns", "--timeout", "5")
	g.wantExit(t, 1)
	g.wantErr(t, "no space left on device")
}
