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
