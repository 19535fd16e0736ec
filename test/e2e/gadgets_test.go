// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"cmp"
	"strings"
	"syscall"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// Each gadget reports exactly the events that its workload causes, in order. If the kernel lacks a
// hook that the gadget needs, the error says so and nothing stays behind. The lab relies on the names of the
// subtests to see that each gadget ran on some kernel.
func TestGadgets(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, name := range gadgetNames(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorkload(t, name, t.TempDir())
			hooks := hooksOf(t, name, w.Args)
			if missing := hooks.missing(offered(t)); len(missing) > 0 {
				t.Run("refused", func(t *testing.T) {
					t.Logf("hooks of %s: %s", name, summary(missing))
					wantRefused(t, w, hooks, missing)
				})
				return
			}
			t.Run("live", func(t *testing.T) {
				undisturbed(t, w, func(t *kerneltest.Attempt, w *workload) {
					r := w.run(t)
					t.Logf("hooks of %s: %s", name, cmp.Or(summary(r.hooks(hooks)), "none"))
					r.wantExpected(t)
					if text := r.err.String(); text != "" {
						t.Errorf("unexpected on standard error: %s", text)
					}
					r.wantNothingLeft(t)
				})
			})
		})
	}
}

// wantRefused checks that a gadget that lacks a hook ends with an error that names it, and is gone.
func wantRefused(t *testing.T, w *workload, hooks *gadgetHooks, missing []hook) {
	t.Helper()
	before := findLeftovers(t)
	g := run(t, setup{}, append([]string{"run", w.gadget, "-o", "json", "--timeout", "10"}, w.Args...)...)
	g.wantExit(t, 1)
	g.wantNoOut(t)
	text := g.err.String()
	named := false
	for _, h := range missing {
		named = named || strings.Contains(text, h.kind) && strings.Contains(text, h.target)
	}
	if strings.Contains(text, "not yet supported") {
		t.Errorf("the kernel is not to blame: %s", text)
	}
	if !named {
		t.Errorf("standard error names none of the hooks that the kernel lacks, %s:\n%s", summary(missing), text)
	}
	g.wantAlone(t)
	before.wantSame(t)
	names := hooks.programs()
	eventually(t, "the gadget's programs have left the kernel", func() bool { return len(programsNamed(t, names...)) == 0 })
}

// Nothing of a gadget outlives its process, however that ends.
func TestKillLeavesNothingInTheKernel(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, name := range gadgetNames(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorkload(t, name, t.TempDir())
			if w.Snapshot || len(hooksOf(t, name, w.Args).missing(offered(t))) > 0 {
				return // it ends before it can be killed
			}
			before := findLeftovers(t)
			g := start(t, setup{}, append([]string{"run", name, "-o", "none"}, w.Args...)...)
			held := g.waitAttached(t)
			g.signal(t, syscall.SIGKILL)
			g.wait(t)
			g.wantAlone(t)
			// Before Linux 6.6 programs for interfaces are filters. That of a dead gadget does nothing, and goes with the interface.
			if countFilters(t) > 0 {
				w.process.signal(t, syscall.SIGKILL)
				w.process.wait(t)
			}
			if hasProgram(name) {
				wantGone(t, held)
			}
			before.wantSame(t)
		})
	}
}
