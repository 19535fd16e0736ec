// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package bpfprogs looks at the BPF programs in the kernel, whoever has loaded them: how long they ran, what their maps take, who holds
// them, and which gadget they are of.
package bpfprogs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Program is a BPF program at the time when it was read.
type Program struct {
	ID         uint32
	Name, Type string
	// Runs and Time are those that were counted. The kernel counts only while somebody wants it: see Count.
	Runs uint64
	Time time.Duration
	// Maps is the number of maps that the program uses, and MapMemory what they take in bytes. Maps that several programs use count for each.
	Maps      int
	MapMemory uint64
	// Gadget says which gadget the program is of; its ID is empty for other programs.
	Gadget Label
}

// Wanted says which values to read that cost something. Others are 0.
type Wanted struct{ MapMemory, Gadget bool }

// Reader reads programs. Only one goroutine at a time may use it.
type Reader struct {
	want  Wanted
	known map[ebpf.ProgramID]*known
	// maps is what is known of maps, and labels which gadgets they stand for.
	maps   map[ebpf.MapID]mapInfo
	labels map[ebpf.MapID]Label
	round  int // counts readings
}

// known is what does not change about a program.
type known struct {
	name, typ string
	maps      []ebpf.MapID
	seen      int // the reading in which the program was seen last
}

// mapInfo is what is known of a map.
type mapInfo struct {
	memory uint64
	label  bool // see Label
	varies bool // the memory changes while the map is used
	seen   int
}

// ErrPermission says that this process may not look at programs of others.
var ErrPermission = fmt.Errorf("looking at the BPF programs of others takes CAP_SYS_ADMIN, or root: %w", fs.ErrPermission)

// Open makes a reader. It fails if this process may not look at programs.
func Open() (*Reader, error) {
	if _, err := ebpf.ProgramGetNextID(0); errors.Is(err, unix.EPERM) {
		return nil, ErrPermission
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the BPF programs: %w", err)
	}
	return &Reader{
		known: make(map[ebpf.ProgramID]*known), maps: make(map[ebpf.MapID]mapInfo), labels: make(map[ebpf.MapID]Label),
	}, nil
}

// Count makes the kernel count the runs of all BPF programs, for all users of the machine, until the result is closed. That costs each
// run some nanoseconds. It takes Linux 5.8.
func Count() (io.Closer, error) {
	c, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, unix.EINVAL) {
		return nil, fmt.Errorf("counting the runs of programs needs Linux 5.8 or newer: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("count the runs of programs: %w", err)
	}
	return c, nil
}

// Want says what to read from now on.
func (r *Reader) Want(w Wanted) { r.want = w }

// Read appends all programs to list, in the order of their ids. It leaves out those that go away meanwhile.
func (r *Reader) Read(list []Program) ([]Program, error) {
	r.round++
	for id := ebpf.ProgramID(0); ; {
		next, err := ebpf.ProgramGetNextID(id)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return list, fmt.Errorf("list the BPF programs: %w", err)
		}
		id = next
		p, err := r.read(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return list, fmt.Errorf("BPF program %d: %w", id, err)
		}
		list = append(list, p)
	}
	r.forget()
	return list, nil
}

// read reads a program. It holds the program only meanwhile: otherwise the program would outlive its owner.
func (r *Reader) read(id ebpf.ProgramID) (p Program, err error) {
	prog, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return p, err
	}
	defer prog.Close()
	k := r.known[id]
	if k == nil {
		info, err := prog.Info()
		if err != nil {
			return p, err
		}
		k = &known{name: info.Name, typ: info.Type.String()}
		k.maps, _ = info.MapIDs()
		r.known[id] = k
	}
	k.seen = r.round
	counts, err := prog.Stats()
	if err != nil {
		return p, err
	}
	p = Program{ID: uint32(id), Name: k.name, Type: k.typ, Runs: counts.RunCount, Time: counts.Runtime}
	if r.want.MapMemory || r.want.Gadget {
		r.addMaps(&p, k.maps)
	} else {
		p.Maps = len(k.maps)
	}
	return p, nil
}

// addMaps adds what the maps of a program say. The label of a gadget is none of the program's own maps.
func (r *Reader) addMaps(p *Program, ids []ebpf.MapID) {
	for _, id := range ids {
		m := r.readMap(id)
		if m.label {
			p.Gadget = r.labels[id]
			continue
		}
		p.Maps++
		p.MapMemory += m.memory
	}
}

// readMap returns what there is to know of a map, whose memory is read once in a reading. Most maps never change, and are opened only once.
func (r *Reader) readMap(id ebpf.MapID) mapInfo {
	m, ok := r.maps[id]
	if ok && (m.seen == r.round || !m.varies || !r.want.MapMemory) {
		m.seen = r.round
		r.maps[id] = m
		return m
	}
	m.seen = r.round
	defer func() { r.maps[id] = m }()
	opened, err := ebpf.NewMapFromID(id)
	if err != nil {
		return m
	}
	defer opened.Close()
	info, err := opened.Info()
	if err != nil {
		return m
	}
	m.memory, _ = info.Memlock()
	m.varies = info.Flags&unix.BPF_F_NO_PREALLOC != 0
	if info.Name == labelName {
		r.labels[id], m.label = readLabel(opened)
	}
	return m
}

// forget drops what is known of programs and maps that have gone.
func (r *Reader) forget() {
	for id, k := range r.known {
		if k.seen != r.round {
			delete(r.known, id)
		}
	}
	if !r.want.MapMemory && !r.want.Gadget {
		return
	}
	for id, m := range r.maps {
		if m.seen != r.round {
			delete(r.maps, id)
			delete(r.labels, id)
		}
	}
}
