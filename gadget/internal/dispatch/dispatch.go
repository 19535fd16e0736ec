// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package dispatch makes the programs that run in front of a gadget's program for packets. A dispatcher writes into the packet's
// context which network namespace the packet is in, and calls the gadget's program.
package dispatch

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

const (
	// PacketMap is the map in which a gadget's programs find the address of the packet that they run for.
	PacketMap = "gadget_packet"
	// Name is that of dispatchers in the kernel.
	Name = "gizmo_dispatch"

	// offsetCB is where struct __sk_buff has the five words cb, which belong to programs.
	offsetCB = 48
)

// Target is a gadget's program that dispatchers call.
type Target struct {
	kind   ebpf.ProgramType
	as     ebpf.AttachType
	packet *ebpf.Map
	// next has the program as its only entry. The kernel empties it when the last process that has it open ends. From then on a
	// dispatcher does nothing, wherever it is still attached.
	next *ebpf.Map

	mu   sync.Mutex
	live map[*Dispatcher]bool
	past Counts // of those that are closed
}

// Counts are the kernel's counts of runs of dispatchers, each of which includes the program that it calls: the kernel counts a
// run for the program that it began with.
type Counts struct {
	Runs, Missed uint64
	Time         time.Duration
}

func (c *Counts) add(s *ebpf.ProgramStats) {
	c.Runs += s.RunCount
	c.Missed += s.RecursionMisses
	c.Time += s.Runtime
}

// Dispatcher is a dispatcher for packets in one network namespace.
type Dispatcher struct {
	*ebpf.Program
	target *Target
}

// Close lets go of the program, and keeps its counts for the target.
func (d *Dispatcher) Close() error {
	stats, err := d.Program.Stats()
	d.target.mu.Lock()
	if d.target.live[d] && err == nil {
		d.target.past.add(stats)
	}
	delete(d.target.live, d)
	d.target.mu.Unlock()
	return d.Program.Close()
}

// Counts returns the counts of all dispatchers so far.
func (t *Target) Counts() (Counts, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := t.past
	for d := range t.live {
		stats, err := d.Stats()
		if err != nil {
			return Counts{}, err
		}
		sum.add(stats)
	}
	return sum, nil
}

// NewTarget returns a target, which the caller closes after the last dispatcher is detached. as is the attach type that the program was
// loaded with: the kernel wants the same of its callers. packet is the map for the address of the packet; nil: there is none.
func NewTarget(prog *ebpf.Program, as ebpf.AttachType, packet *ebpf.Map) (*Target, error) {
	next, err := ebpf.NewMap(&ebpf.MapSpec{Name: Name, Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return nil, fmt.Errorf("make the array of programs that a dispatcher calls: %w", err)
	}
	if err := next.Put(uint32(0), uint32(prog.FD())); err != nil {
		return nil, errors.Join(fmt.Errorf("put the program into the array for dispatchers: %w", err), next.Close())
	}
	return &Target{kind: prog.Type(), as: as, packet: packet, next: next, live: make(map[*Dispatcher]bool)}, nil
}

// Close makes all dispatchers of the target do nothing.
func (t *Target) Close() error { return t.next.Close() }

// For returns a dispatcher for packets in the network namespace with an inode. It belongs to the caller, who closes it after it is detached.
func (t *Target) For(inode uint64) (*Dispatcher, error) {
	if inode != uint64(uint32(inode)) {
		return nil, fmt.Errorf("the network namespace's inode %d has more than 32 bits", inode)
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: Name, Type: t.kind, AttachType: t.as, License: "GPL", Instructions: t.instructions(uint32(inode)),
	})
	if err != nil {
		return nil, fmt.Errorf("load the dispatcher for packets of a network namespace: %w", err)
	}
	d := &Dispatcher{prog, t}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live[d] = true
	return d, nil
}

func (t *Target) instructions(inode uint32) asm.Instructions {
	code := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	if t.packet != nil {
		code = append(code,
			asm.StoreImm(asm.RFP, -4, 0, asm.Word),
			asm.LoadMapPtr(asm.R1, t.packet.FD()),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -4),
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, "call"),
			asm.StoreMem(asm.R0, 0, asm.R6, asm.DWord))
	}
	return append(code,
		asm.Mov.Imm32(asm.R7, int32(inode)).WithSymbol("call"),
		asm.StoreMem(asm.R6, offsetCB, asm.R7, asm.Word), // the kernel refuses an immediate value here
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMapPtr(asm.R2, t.next.FD()),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnTailCall.Call(),
		asm.Mov.Imm(asm.R0, Undecided(t.kind)),
		asm.Return())
}

// Undecided is the result of programs of a kind that leaves a packet as it is.
func Undecided(kind ebpf.ProgramType) int32 {
	if kind == ebpf.SchedCLS {
		return -1 // TC_ACT_UNSPEC: the next program decides
	}
	return 0 // a socket filter: the socket does not get the packet
}

// IsOrphan reports whether the program with a number is a dispatcher whose target is closed. It is false if there is no such program.
func IsOrphan(id ebpf.ProgramID) (bool, error) {
	next, err := arrayOf(id)
	if next == nil || err != nil {
		return false, err
	}
	defer next.Close()
	var program uint32
	err = next.Lookup(uint32(0), &program)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return true, nil
	}
	return false, err
}

// arrayOf returns the array of programs of a dispatcher, nil if it is none.
func arrayOf(id ebpf.ProgramID) (*ebpf.Map, error) {
	prog, err := ebpf.NewProgramFromID(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer prog.Close()
	info, err := prog.Info()
	if err != nil {
		return nil, err
	}
	maps, _ := info.MapIDs()
	for _, id := range maps {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return nil, err
		}
		if m.Type() == ebpf.ProgramArray {
			return m, nil
		}
		m.Close()
	}
	return nil, nil
}
