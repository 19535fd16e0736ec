// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

func TestParamsFilterInTheKernel(t *testing.T) {
	kerneltest.RequireRoot(t)
	mine, other := startOpener(t), startOpener(t)
	g := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", mine.pid(), "--failed", "-v")
	g.waitAttached(t)
	other.open(t, 3, "/proc/nonexistent/other")
	mine.open(t, 3, "/proc/version")
	mine.open(t, 2, "/proc/nonexistent/mine")
	g.interrupt(t)
	events := parseEvents(t, g.out.String())
	for _, e := range events {
		if e.get("fname") != "/proc/nonexistent/mine" || e.get("error") != "ENOENT" {
			t.Errorf("unexpected event: %s", e)
		}
	}
	if len(events) != 2 {
		t.Errorf("%d events, want 2", len(events))
	}
	// The filter is in the kernel: nothing else was even produced.
	g.wantErr(t, "open: 2 events produced, 2 delivered, 0 filtered, 0 lost")
}

func TestTwoRunsAtOnceSeeTheSame(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := startOpener(t)
	a := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", o.pid())
	b := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", o.pid())
	a.waitAttached(t)
	b.waitAttached(t)
	o.open(t, 5, "/proc/version")
	a.interrupt(t)
	o.open(t, 2, "/proc/stat") // the end of one run does not disturb the other
	b.interrupt(t)
	if n := len(parseEvents(t, a.out.String())); n != 5 {
		t.Errorf("the first run saw %d events, want 5", n)
	}
	if n := len(parseEvents(t, b.out.String())); n != 7 {
		t.Errorf("the second run saw %d events, want 7", n)
	}
}
