// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
)

// The parts of the value that countSwitches counts in: how often another process made way for process 1, and process 1 for another.
const (
	cameOn uint32 = iota
	wentOff
)

// hidesProcessOne finds out whether the machine hides its process 1 from BPF: on some, no program runs while a thread of
// that process is on the CPU, and the kernel does not count this as skipped. What happens then in an interrupt, such as the
// end of a request to a disk or a timer of TCP, is out of sight of any gadget, and so is the switch to the next thread. It watches until
// process 1 has run some times, for half a minute at most.
func hidesProcessOne(t testing.TB) bool {
	t.Helper()
	counts, err := ebpf.NewMap(&ebpf.MapSpec{Name: "process_one", Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer counts.Close()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "process_one", Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: "sched_switch", License: "GPL",
		Instructions: countSwitches(counts, tgidOffset(t)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l, err := link.AttachTracing(link.TracingOptions{Program: p})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var n [2]uint64
	for end := time.Now().Add(30 * time.Second); n[cameOn] < 3 && n[wentOff] == 0 && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
		if err := counts.Lookup(uint32(0), &n); err != nil {
			t.Fatal(err)
		}
	}
	return n[cameOn] > 0 && n[wentOff] == 0
}

// tgidOffset is where the kernel's task_struct has the id of the process.
func tgidOffset(t testing.TB) int16 {
	t.Helper()
	var task *btf.Struct
	types, err := btf.LoadKernelSpec()
	if err == nil {
		err = types.TypeByName("task_struct", &task)
	}
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(task.Members, func(m btf.Member) bool { return m.Name == "tgid" })
	return int16(task.Members[i].Offset.Bytes())
}

// countSwitches runs when a task is about to make way for another, the program's third argument.
func countSwitches(counts *ebpf.Map, tgid int16) asm.Instructions {
	add := func(value uint32) asm.Instructions {
		return asm.Instructions{
			asm.LoadMapValue(asm.R1, counts.FD(), 8*value),
			asm.Mov.Imm(asm.R2, 1),
			asm.StoreXAdd(asm.R1, asm.R2, asm.DWord),
		}
	}
	return slices.Concat(
		asm.Instructions{
			asm.LoadMem(asm.R6, asm.R1, 2*8, asm.DWord),
			asm.FnGetCurrentPidTgid.Call(),
			asm.RSh.Imm(asm.R0, 32),
			asm.JNE.Imm(asm.R0, 1, "next"),
		},
		add(wentOff),
		asm.Instructions{
			asm.LoadMem(asm.R1, asm.R6, tgid, asm.Word).WithSymbol("next"),
			asm.JNE.Imm(asm.R1, 1, "end"),
		},
		add(cameOn),
		asm.Instructions{
			asm.Mov.Imm(asm.R0, 0).WithSymbol("end"),
			asm.Return(),
		})
}
