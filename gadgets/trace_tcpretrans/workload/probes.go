// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// probe is the kernel's function that probes for a loss.
const probeFunction = "tcp_send_loss_probe"

// seesProbes reports whether a program can run when the kernel probes for a loss. It finds that out by trying.
func seesProbes() bool {
	return canTrace(ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceFEntry, AttachTo: probeFunction},
		func(p *ebpf.Program) (link.Link, error) { return link.AttachTracing(link.TracingOptions{Program: p}) }) ||
		canTrace(ebpf.ProgramSpec{Type: ebpf.Kprobe},
			func(p *ebpf.Program) (link.Link, error) { return link.Kprobe(probeFunction, p, nil) })
}

// canTrace reports whether a program that does nothing can be loaded and attached.
func canTrace(spec ebpf.ProgramSpec, attach func(*ebpf.Program) (link.Link, error)) bool {
	spec.License = "GPL"
	spec.Instructions = asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	p, err := ebpf.NewProgram(&spec)
	if err != nil {
		return false
	}
	defer p.Close()
	l, err := attach(p)
	if err != nil {
		return false
	}
	return l.Close() == nil
}
