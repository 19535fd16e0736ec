// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package process reads what the processes of this machine use: processor time, memory, threads. Reading many processes again and again
// allocates nothing once its buffers are large enough.
package process

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/dents"
	"github.com/gizmo-ebpf/gizmo/internal/procstat"
)

// Process is a process at the time when it was read.
type Process struct {
	PID, Parent    int32
	Comm           [16]byte
	State          byte
	Priority, Nice int8
	Threads        int32
	// CPU is the processor time that it has used, and Start when it started after boot, both in ticks of procstat.ClockTicks.
	CPU, Start uint64
	// Virtual, Resident and Shared are its memory in bytes.
	Virtual, Resident, Shared uint64
	// UID is its effective user.
	UID uint32
	// MountNS is the inode of its mount namespace; 0 if it has none or this process may not see it.
	MountNS uint64
}

// Wanted says which values to read that take further system calls. Others are 0.
type Wanted struct{ Shared, UID, MountNS bool }

// Reader reads processes. Only one goroutine at a time may use it.
type Reader struct {
	want    Wanted
	proc    int // the open folder
	page    uint64
	entries []byte
	path    []byte
	text    []byte
}

// Open makes a reader of the processes in /proc.
func Open() (*Reader, error) {
	const folder = "/proc"
	fd, err := unix.Open(folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: folder, Err: err}
	}
	const statSize = 4096 // some 350 bytes are usual
	return &Reader{proc: fd, page: uint64(os.Getpagesize()), entries: make([]byte, 32<<10), text: make([]byte, statSize)}, nil
}

// Want says what to read from now on.
func (r *Reader) Want(w Wanted) { r.want = w }

// Close closes the reader.
func (r *Reader) Close() error { return unix.Close(r.proc) }

// Read appends all processes to list, in the order of their ids. It leaves out those that end meanwhile, and those that this process may
// not see.
func (r *Reader) Read(list []Process) ([]Process, error) {
	first := len(list)
	err := dents.Each(r.proc, r.entries, func(name []byte, _ uint8) bool {
		if id, ok := parseID(name); ok {
			list = append(list, Process{PID: id})
			if !r.read(&list[len(list)-1], name) {
				list = list[:len(list)-1]
			}
		}
		return true
	})
	if err != nil {
		return list, fmt.Errorf("list the processes: %w", err)
	}
	byID := func(a, b Process) int { return cmp.Compare(a.PID, b.PID) }
	if all := list[first:]; !slices.IsSortedFunc(all, byID) { // the kernel sorts them
		slices.SortFunc(all, byID)
	}
	return list, nil
}

// parseID returns the id of the process with that name in /proc.
func parseID(name []byte) (id int32, ok bool) {
	for _, c := range name {
		if c < '0' || c > '9' {
			return 0, false
		}
		id = id*10 + int32(c-'0')
	}
	return id, len(name) > 0 && len(name) < 10
}

// read fills in what there is to know of a process. It returns false if the process has gone, or may not be seen.
func (r *Reader) read(p *Process, name []byte) bool {
	text := r.readFile(name, "/stat")
	var s procstat.Stat
	if len(text) == 0 || s.Parse(text) != nil {
		return false
	}
	copy(p.Comm[:], s.Comm)
	p.Parent, p.State, p.Priority, p.Nice, p.Threads = s.Parent, s.State, int8(s.Priority), int8(s.Nice), int32(s.Threads)
	p.CPU, p.Start = s.User+s.System, s.Start
	p.Virtual, p.Resident = s.Virtual, s.Resident*r.page
	if r.want.Shared {
		p.Shared = sharedPages(r.readFile(name, "/statm")) * r.page
	}
	if r.want.UID {
		p.UID, _ = r.stat(name, "")
	}
	if r.want.MountNS {
		_, p.MountNS = r.stat(name, "/ns/mnt")
	}
	return true
}

// sharedPages returns the third number of the file statm: pages in RAM that are shared or of files.
func sharedPages(text []byte) (pages uint64) {
	for range 2 {
		_, text, _ = bytes.Cut(text, []byte{' '})
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			break
		}
		pages = pages*10 + uint64(c-'0')
	}
	return pages
}

// join returns the path of a file of a process, with the zero byte that the kernel wants.
func (r *Reader) join(name []byte, file string) *byte {
	r.path = append(append(append(r.path[:0], name...), file...), 0)
	return &r.path[0]
}

// readFile reads a file of a process; nothing if it cannot. The calls that it makes are those of package unix without the copies of the path.
func (r *Reader) readFile(name []byte, file string) []byte {
	const flags = unix.O_RDONLY | unix.O_CLOEXEC
	fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(r.proc), uintptr(unsafe.Pointer(r.join(name, file))), flags, 0, 0, 0)
	if errno != 0 {
		return nil
	}
	n, err := unix.Read(int(fd), r.text)
	_ = unix.Close(int(fd))
	if err != nil {
		return nil
	}
	return r.text[:n]
}

// stat returns the owner and the inode of a file of a process; 0 if it cannot.
func (r *Reader) stat(name []byte, file string) (owner uint32, inode uint64) {
	var st unix.Statx_t
	const wanted = unix.STATX_UID | unix.STATX_INO
	_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(r.proc), uintptr(unsafe.Pointer(r.join(name, file))), 0, wanted, uintptr(unsafe.Pointer(&st)), 0)
	if errno != 0 {
		return 0, 0
	}
	return st.Uid, st.Ino
}
