// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// runnable starts the workload of a gadget. It returns nil if the kernel lacks a hook, of which TestGadgets checks the error.
func runnable(t *testing.T, gadget string) *workload {
	t.Helper()
	w := startWorkload(t, gadget, t.TempDir())
	if len(hooksOf(t, gadget, w.Args).missing(offered(t))) > 0 {
		return nil
	}
	return w
}

// Events have the stacks of the process if they are asked for, with its own functions by name; and are the same events.
func TestUserStacksOfGadgets(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, gadget := range []string{"trace_open", "trace_signal", "trace_capabilities"} {
		t.Run(gadget, func(t *testing.T) {
			w := runnable(t, gadget)
			if w == nil {
				return
			}
			r := w.run(t, "--collect-ustack")
			r.wantExpected(t)
			if len(r.events.rows) == 0 {
				t.Error("no events")
			}
			for _, e := range r.events.rows {
				// The kernel sends other signals for a process that waits, runs other code, or ends.
				code := e.get("code_raw")
				call := gadget != "trace_signal" || code == "0" || strings.HasPrefix(code, "-")
				if symbols := e.get("ustack.symbols"); call && !strings.Contains(symbols, "; main.") {
					t.Errorf("none of the workload's functions in the stack %q of %s", symbols, e)
				}
			}
		})
	}
}

// A release is reported at the entry of its function, an allocation when the function has returned to its caller.
func TestUserStacksOfMalloc(t *testing.T) {
	kerneltest.RequireRoot(t)
	w := runnable(t, "trace_malloc")
	if w == nil {
		return
	}
	r := w.run(t, "--collect-ustack")
	r.wantExpected(t)
	entered := map[string]string{"free": "free", "realloc_free": "realloc", "munmap": "munmap", "mremap_unmap": "mremap"}
	for _, e := range r.events.rows {
		innermost, _, found := strings.Cut(e.get("ustack.symbols"), "; ")
		operation := e.get("operation")
		function, release := entered[operation]
		switch {
		case release && innermost != function:
			t.Errorf("the innermost function is %q, want %s: %s", innermost, function, e)
		case !release && (!found || innermost == operation):
			t.Errorf("the innermost function is %q, want the caller of %s: %s", innermost, operation, e)
		}
	}
}

// Checks of capabilities have the functions of the kernel that lead to them, and those of processes only if they are asked for.
func TestKernelStacksOfCapabilities(t *testing.T) {
	kerneltest.RequireRoot(t)
	for flag, wanted := range map[string]bool{"--collect-kstack": true, "--collect-kstack=false": false} {
		t.Run(flag, func(t *testing.T) {
			w := runnable(t, "trace_capabilities")
			if w == nil {
				return
			}
			r := w.run(t, flag)
			r.wantExpected(t)
			for _, e := range r.events.rows {
				// cap_capable itself has returned where the program runs at its return.
				if stack := e.get("kstack"); strings.Contains(stack, "capable") != wanted || !wanted && stack != "" {
					t.Errorf("stack %q of %s", e.get("kstack"), e)
				}
				if e.get("ustack.symbols") != "" || e.get("ustack.stack_id") != "0" {
					t.Errorf("a stack that was not asked for: %s", e)
				}
			}
		})
	}
}

// Drops have the functions of the kernel that lead to them, also those in interrupts.
func TestKernelStacksOfDrops(t *testing.T) {
	kerneltest.RequireRoot(t)
	w := runnable(t, "trace_tcpdrop")
	if w == nil {
		return
	}
	undisturbed(t, w, func(t *kerneltest.Attempt, w *workload) {
		r := w.run(t)
		r.wantExpected(t)
		for _, e := range r.events.rows {
			if stack := e.get("kernel_stack"); !strings.Contains(stack, "; tcp_") && !strings.Contains(stack, "; ip_") {
				t.Errorf("stack %q of %s", stack, e)
			}
		}
	})
}
