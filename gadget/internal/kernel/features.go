// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
)

// HasCookies reports whether programs can ask for the number that their probe was given (Linux 5.15).
func HasCookies() bool {
	return features.HaveProgramHelper(ebpf.Kprobe, asm.FnGetAttachCookie) == nil
}

// HasUprobeMulti reports whether one link can hold many probes in user space (Linux 6.6).
func HasUprobeMulti() bool { return features.HaveBPFLinkUprobeMulti() == nil }

// HasRingBuffers returns nil, or why the kernel has no ring buffers: ebpf.ErrNotSupported before Linux 5.8.
func HasRingBuffers() error { return features.HaveMapType(ebpf.RingBuf) }

// HasTrampolines reports whether the functions of the kernel can call programs directly. There may
// be all else that it takes without the part of the kernel's tracing that redirects calls.
func (k *Kernel) HasTrampolines() bool { return k.HasFunction("register_ftrace_direct") }

// HasStackOffsets reports whether programs can read their stack at an offset that is known only when they run (Linux 5.12).
func HasStackOffsets() bool {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), // the length of the packet
		asm.And.Imm(asm.R2, 7),
		asm.StoreImm(asm.RFP, -8, 0, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.RFP),
		asm.Add.Reg(asm.R1, asm.R2),
		asm.LoadMem(asm.R0, asm.R1, -8, asm.Byte),
		asm.Return(),
	}})
	if err != nil {
		return false
	}
	return p.Close() == nil
}
