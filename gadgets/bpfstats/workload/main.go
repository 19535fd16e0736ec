// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload loads BPF programs and runs each a known number of times.
//
//	workload DIR
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Row is a row of bpfstats, with the fields that are known in advance.
type Row struct {
	ID        uint32 `json:"progID"`
	Name      string `json:"progName"`
	Type      string `json:"progType"`
	Runs      uint64 `json:"runcount"`
	Maps      int    `json:"mapCount"`
	MapMemory uint64 `json:"mapMemory_raw"`
	Gadget    string `json:"gadgetName"`
}

// interval is the time from one array to the next. A program runs much faster, so that all its runs are in one array.
const interval = 500 * time.Millisecond

func main() { workload.Main(run) }

func run(string) error {
	workload.Check("lift a limit", rlimit.RemoveMemlock())
	name := fmt.Sprintf("w%d", os.Getpid())
	args := []string{"--statistics-interval", interval.String(), "--filter", "runcount>0,progName~^" + name + "_"}
	return workload.Cause(args, func() ([]Row, error) {
		var rows []Row
		for i, runs := range []uint32{1, 1000, 100_000} {
			p := load(fmt.Sprintf("%s_%d", name, i), i)
			defer p.Close()
			_ = workload.Must(p.Run(&ebpf.RunOptions{Data: make([]byte, 64), Repeat: runs}))
			rows = append(rows, describe(p, uint64(runs)))
		}
		time.Sleep(3 * interval) // until they have been seen
		return rows, nil
	})
}

// load loads a program that does nothing but look into so many maps, of which each is larger than the one before.
func load(name string, maps int) *ebpf.Program {
	spec := &ebpf.ProgramSpec{Name: name, Type: ebpf.SocketFilter, License: "Dual MIT/GPL"}
	for i := range maps {
		m := workload.Must(ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1000 << i}))
		defer m.Close() // the program keeps it
		spec.Instructions = append(spec.Instructions, asm.LoadMapPtr(asm.R1, m.FD()))
	}
	spec.Instructions = append(spec.Instructions, asm.Mov.Imm(asm.R0, 0), asm.Return())
	return workload.Must(ebpf.NewProgram(spec))
}

// describe describes a program that has run at least so often. A signal, such as Go sends to its threads, ends a call that runs it early, and the library repeats
// the whole call: how often it has run, the kernel knows.
func describe(p *ebpf.Program, least uint64) Row {
	info := workload.Must(p.Info())
	id, _ := info.ID()
	stats := workload.Must(p.Stats())
	if stats.RunCount < least {
		workload.Check("count runs", fmt.Errorf("%d of %d", stats.RunCount, least))
	}
	row := Row{ID: uint32(id), Name: info.Name, Type: "SocketFilter", Runs: stats.RunCount}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m := workload.Must(ebpf.NewMapFromID(id))
		info := workload.Must(m.Info())
		memory, _ := info.Memlock()
		row.Maps, row.MapMemory = row.Maps+1, row.MapMemory+memory
		_ = m.Close()
	}
	return row
}
