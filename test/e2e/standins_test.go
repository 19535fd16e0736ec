// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// The programs for kernels that lack the better hooks find the same, on kernels that have both.
func TestStandInsOfGadgets(t *testing.T) {
	kerneltest.RequireRoot(t)
	for gadget, c := range map[string]struct {
		without string // the better programs
		hook    hook   // that the others need
	}{
		"profile_tcprtt": {"tcprtt_probe", hook{kind: "kprobe", target: "tcp_rcv_established"}},
		"top_blockio":    {"topio_start topio_done", hook{kind: "tp_btf", target: "block_getrq"}},
	} {
		t.Run(gadget, func(t *testing.T) {
			t.Parallel()
			w := startWorkload(t, gadget, t.TempDir())
			w.gadget = gadgetWithout(t, gadget, strings.Fields(c.without))
			if !offered(t)(c.hook) {
				g := run(t, setup{}, append([]string{"run", w.gadget, "--timeout", "10"}, w.Args...)...)
				g.wantExit(t, 1)
				g.wantErr(t, "kprobe")
				return
			}
			undisturbed(t, w, func(t *kerneltest.Attempt, w *workload) {
				r := w.run(t)
				r.wantExpected(t)
				r.wantNothingLeft(t)
			})
		})
	}
}

// gadgetWithout makes a copy of a built-in gadget in which some programs are disabled, and returns the path of its object.
func gadgetWithout(t *testing.T, gadget string, programs []string) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range []string{"program.o", "gadget.yaml"} {
		data, err := os.ReadFile(filepath.Join(moduleDir, "catalog/objects", gadget, file))
		if err != nil {
			t.Fatal(err)
		}
		if file == "gadget.yaml" {
			data = append(data, "programs:\n"...)
			for _, p := range programs {
				data = append(data, "  "+p+": {attach_to: gadget_program_disabled}\n"...)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "program.o")
}
