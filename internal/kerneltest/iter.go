// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"
)

// MapWalks returns nil if the kernel runs programs for the elements of maps (iter/bpf_map_elem), or else
// why it does not: some kernels forbid this kind of program and no other. It needs root. A test asks, and
// where the kernel forbids them it tests that gizmo says so.
func MapWalks(t testing.TB) error {
	t.Helper()
	RequireRoot(t)
	return tryMapWalk()
}

var tryMapWalk = sync.OnceValue(func() error {
	_ = rlimit.RemoveMemlock() // if it fails, loading returns the error
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.Tracing, AttachType: ebpf.AttachTraceIter, AttachTo: "bpf_map_elem", License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return err
	}
	return prog.Close()
})
