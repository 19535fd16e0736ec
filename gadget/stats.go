// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"fmt"
	"io"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
	"github.com/gizmo-ebpf/gizmo/host/bpfprogs"
)

// ProgramStats holds the kernel's counts for a loaded program.
type ProgramStats struct {
	Name, Section string
	// Attached is false for a program that the params leave nothing to do.
	Attached bool
	// Instructions is the number of instructions that the verifier left in the program, and Verified how many it processed;
	// 0 if the kernel does not report it (before 5.16).
	Instructions, Verified int
	// Runs and Time are how often the program ran and how long in all. They are counted only between
	// CountRuns and the closing of its result.
	Runs uint64
	Time time.Duration
	// Missed is how often the kernel did not run the program, because it was running on that CPU
	// already, or another of the same kind. Each time may have been an event, or not. Kernels before 5.12
	// do not count it, those before 6.7 not for tracepoints.
	Missed uint64
}

// CountRuns makes the kernel count the runs of all BPF programs, for all users of the machine,
// until the result is closed. That costs each run some nanoseconds. It takes Linux 5.8.
func CountRuns() (io.Closer, error) { return bpfprogs.Count() }

// Stats returns the counts of all programs that are loaded, in the order of the image. Without CAP_BPF the kernel does not
// report Instructions, nor whether a program does anything; Stats then returns the values of an earlier
// call.
func (g *Gadget) Stats() ([]ProgramStats, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]ProgramStats, 0, len(g.programs))
	for _, p := range g.programs {
		prog := g.coll.Programs[p.Name]
		known, found := g.known[p.Name]
		s := ProgramStats{Name: p.Name, Section: p.Section}
		if err := s.read(prog); err != nil {
			return nil, fmt.Errorf("program %s: %w", p.Name, err)
		}
		counts, err := hook.CountsInNetworks(g.loaded, p)
		if err != nil {
			return nil, fmt.Errorf("program %s: %w", p.Name, err)
		}
		s.Runs, s.Time, s.Missed = s.Runs+counts.Runs, s.Time+counts.Time, s.Missed+counts.Missed
		if found { // neither changes once the program is loaded
			s.Attached, s.Instructions = known.Attached, known.Instructions
		} else if s.Attached = !hook.IsIdle(p, prog); s.Instructions > 0 {
			g.known[p.Name] = s
		}
		list = append(list, s)
	}
	return list, nil
}

func (s *ProgramStats) read(prog *ebpf.Program) error {
	counts, err := prog.Stats()
	if err != nil {
		return err
	}
	s.Runs, s.Time, s.Missed = counts.RunCount, counts.Runtime, counts.RecursionMisses
	info, err := prog.Info()
	if err != nil {
		return err
	}
	if size, err := info.TranslatedSize(); err == nil {
		s.Instructions = size / asm.InstructionSize
	}
	if n, ok := info.VerifiedInstructions(); ok {
		s.Verified = int(n)
	}
	return nil
}
