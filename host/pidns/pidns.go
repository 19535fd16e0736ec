// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package pidns finds the host's ids of the processes and threads of a pid namespace. BPF programs see the host's ids; a
// user in a container knows the namespace's own ids.
package pidns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// initial is the inode number of the initial pid namespace, the same in all kernels (PROC_PID_INIT_INO).
const initial = 0xEFFFFFFC

// maxDepth is how many nested namespaces the package supports. The kernel allows 32; two or three are usual.
const maxDepth = 8

// Namespace is the pid namespace of this process.
type Namespace struct{ inode uint32 }

// Own returns the pid namespace of this process.
func Own() (Namespace, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil {
		return Namespace{}, fmt.Errorf("find out the pid namespace: %w", &os.PathError{Op: "stat", Path: "/proc/self/ns/pid", Err: err})
	}
	return Namespace{uint32(st.Ino)}, nil
}

// IsInitial reports whether this is the initial namespace, whose ids are the host's.
func (ns Namespace) IsInitial() bool { return ns.inode == initial }

// ErrNoTask is wrapped by the error about an id that no task of the namespace has.
var ErrNoTask = errors.New("no such process")

// Inode returns the number of the namespace: the inode of /proc/self/ns/pid.
func (ns Namespace) Inode() uint32 { return ns.inode }

// Thread returns the host's id of a thread of the namespace; the id of a process is that of its first thread. It loads a
// BPF program for a moment.
func (ns Namespace) Thread(number uint32) (uint32, error) {
	if ns.IsInitial() {
		return number, nil
	}
	tasks, err := readTasks()
	if err != nil {
		return 0, fmt.Errorf("find the kernel's number of process %d, which is in a pid namespace: %w", number, err)
	}
	for _, t := range tasks {
		for _, l := range t.levels() {
			if l.inode == ns.inode && l.number == number {
				return t.thread, nil
			}
		}
	}
	return 0, fmt.Errorf("%w in this pid namespace: %d", ErrNoTask, number)
}

// task is a thread: the host's id of it and, from the initial namespace down, its id in each namespace.
type task struct {
	thread, depth uint32
	numbers       [maxDepth]level
}

type level struct{ number, inode uint32 }

func (t *task) levels() []level { return t.numbers[:min(t.depth+1, maxDepth)] }

// taskSize is the size of a task as the program writes it.
const taskSize = 8 + 8*maxDepth

// readTasks runs the program for all threads of the host.
func readTasks() ([]task, error) {
	iter, err := open()
	if err != nil {
		return nil, err
	}
	defer iter.Close()
	r, err := iter.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(r) // the kernel has far fewer than 4 million threads (PID_MAX_LIMIT)
	if err != nil {
		return nil, err
	}
	tasks := make([]task, 0, len(data)/taskSize)
	for ; len(data) >= taskSize; data = data[taskSize:] {
		t := task{thread: binary.LittleEndian.Uint32(data), depth: binary.LittleEndian.Uint32(data[4:])}
		for i := range t.numbers {
			p := data[8+8*i:]
			t.numbers[i] = level{binary.LittleEndian.Uint32(p), binary.LittleEndian.Uint32(p[4:])}
		}
		tasks = append(tasks, t)
	}
	return tasks, nil
}

// open loads the program.
func open() (*link.Iter, error) {
	types, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, err
	}
	o, err := findOffsets(types)
	if err != nil {
		return nil, err
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "pidns", Type: ebpf.Tracing, AttachType: ebpf.AttachTraceIter, AttachTo: "task", License: "GPL", Instructions: program(o),
	})
	if err != nil {
		return nil, err
	}
	defer prog.Close()
	return link.AttachIter(link.IterOptions{Program: prog})
}

// offsets are those of the members that the program reads, in bytes.
type offsets struct {
	contextMeta, contextTask, metaSeq int16
	taskThread, taskPID               int32 // pid and thread_pid of struct task_struct
	pidLevel, pidNumbers              int32 // of struct pid
	upidSize, upidNumber, upidNS      int32 // of struct upid
	nsInode                           int32 // of struct pid_namespace
}

func findOffsets(types *btf.Spec) (o offsets, err error) {
	at := func(structName string, members ...string) int32 {
		off, e := offsetOf(types, structName, members...)
		err = errors.Join(err, e)
		return off
	}
	o = offsets{
		contextMeta: int16(at("bpf_iter__task", "meta")), contextTask: int16(at("bpf_iter__task", "task")), metaSeq: int16(at("bpf_iter_meta", "seq")),
		taskThread: at("task_struct", "pid"), taskPID: at("task_struct", "thread_pid"),
		pidLevel: at("pid", "level"), pidNumbers: at("pid", "numbers"),
		upidNumber: at("upid", "nr"), upidNS: at("upid", "ns"), nsInode: at("pid_namespace", "ns", "inum"),
	}
	var upid *btf.Struct
	if e := types.TypeByName("upid", &upid); e != nil {
		return o, errors.Join(err, e)
	}
	o.upidSize = int32(upid.Size)
	return o, err
}

// offsetOf returns the offset of a member, whose path is given by names from the outside in. Members of anonymous structs and
// unions count as members of the struct around them.
func offsetOf(types *btf.Spec, structName string, members ...string) (int32, error) {
	var s *btf.Struct
	if err := types.TypeByName(structName, &s); err != nil {
		return 0, fmt.Errorf("struct %s: %w", structName, err)
	}
	var list btf.Type = s
	off := int32(0)
	for _, name := range members {
		m, at, ok := findMember(list, name)
		if !ok {
			return 0, fmt.Errorf("struct %s has no member %s", structName, name)
		}
		off += at
		list = btf.UnderlyingType(m.Type)
	}
	return off, nil
}

func findMember(t btf.Type, name string) (btf.Member, int32, bool) {
	var members []btf.Member
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		members = t.Members
	case *btf.Union:
		members = t.Members
	}
	for _, m := range members {
		if m.Name == name {
			return m, int32(m.Offset.Bytes()), true
		}
		if m.Name == "" {
			if inner, at, ok := findMember(m.Type, name); ok {
				return inner, at + int32(m.Offset.Bytes()), true
			}
		}
	}
	return btf.Member{}, 0, false
}

// Where the program keeps what it reads, relative to its frame.
const (
	pointerAt = -8
	recordAt  = pointerAt - taskSize
)

// program writes a task for each thread. It reads kernel memory, so a level that a thread does not have reads as
// zeros or as garbage; the depth says which levels are valid.
func program(o offsets) asm.Instructions {
	read := func(at int16, size int32, from asm.Register, off int32) asm.Instructions {
		return asm.Instructions{
			asm.Mov.Reg(asm.R3, from), asm.Add.Imm(asm.R3, off),
			asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, int32(at)),
			asm.Mov.Imm(asm.R2, size), asm.FnProbeReadKernel.Call(),
		}
	}
	ins := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R7, asm.R6, o.contextTask, asm.DWord),
		asm.JEq.Imm(asm.R7, 0, "end"), // after the last one
	}
	ins = append(ins, asm.Mov.Imm(asm.R1, 0))
	for at := int16(recordAt); at < recordAt+taskSize; at += 8 {
		ins = append(ins, asm.StoreMem(asm.RFP, at, asm.R1, asm.DWord))
	}
	ins = append(ins, read(recordAt, 4, asm.R7, o.taskThread)...)
	ins = append(ins, read(pointerAt, 8, asm.R7, o.taskPID)...)
	ins = append(ins, asm.LoadMem(asm.R8, asm.RFP, pointerAt, asm.DWord))
	ins = append(ins, read(recordAt+4, 4, asm.R8, o.pidLevel)...)
	for i := range int32(maxDepth) {
		at := int16(recordAt + 8 + 8*i)
		upid := o.pidNumbers + i*o.upidSize
		ins = append(ins, read(at, 4, asm.R8, upid+o.upidNumber)...)
		ins = append(ins, read(pointerAt, 8, asm.R8, upid+o.upidNS)...)
		ins = append(ins, asm.LoadMem(asm.R9, asm.RFP, pointerAt, asm.DWord))
		ins = append(ins, read(at+4, 4, asm.R9, o.nsInode)...)
	}
	return append(ins,
		asm.LoadMem(asm.R1, asm.R6, o.contextMeta, asm.DWord),
		asm.LoadMem(asm.R1, asm.R1, o.metaSeq, asm.DWord),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, recordAt),
		asm.Mov.Imm(asm.R3, taskSize), asm.FnSeqWrite.Call(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("end"),
		asm.Return(),
	)
}
