// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package bpfprogs

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/dents"
)

// Holder is a process that holds a program, by a descriptor of the program or of one of its links.
type Holder struct {
	PID  int
	Comm string
}

// Holders finds the processes that hold each program, in the order of their ids. It looks at all open files of all processes, except those that this
// process may not see.
func (r *Reader) Holders() (map[uint32][]Holder, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	f := finder{found: make(map[uint32][]Holder), buf: make([]byte, 16<<10)}
	var pids []int
	err = dents.Each(int(proc.Fd()), f.buf, func(name []byte, _ uint8) bool {
		if pid, err := strconv.Atoi(string(name)); err == nil {
			pids = append(pids, pid)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	for _, pid := range pids {
		f.look(pid)
	}
	return f.found, nil
}

// finder collects holders.
type finder struct {
	found map[uint32][]Holder
	buf   []byte
	link  [64]byte
}

// look looks at the open files of a process, which may have ended.
func (f *finder) look(pid int) {
	dir := "/proc/" + strconv.Itoa(pid)
	fd, err := unix.Open(dir+"/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	var holds []string
	_ = dents.Each(fd, f.buf, func(name []byte, _ uint8) bool {
		text := string(name)
		if n, err := unix.Readlinkat(fd, text, f.link[:]); err == nil && isBPF(f.link[:n]) {
			holds = append(holds, text)
		}
		return true
	})
	for _, name := range holds {
		if id := programOf(dir + "/fdinfo/" + name); id != 0 {
			f.add(id, pid, dir)
		}
	}
}

// isBPF reports whether an open file is a program or a link.
func isBPF(link []byte) bool {
	return string(link) == "anon_inode:bpf-prog" || strings.HasPrefix(string(link), "anon_inode:bpf_link") ||
		strings.HasPrefix(string(link), "anon_inode:bpf-link")
}

// programOf returns the id of the program of an open file; 0 if it has none.
func programOf(path string) uint32 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte("prog_id:")); ok {
			id, _ := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 32)
			return uint32(id)
		}
	}
	return 0
}

// add notes that a process holds a program.
func (f *finder) add(id uint32, pid int, dir string) {
	list := f.found[id]
	if len(list) > 0 && list[len(list)-1].PID == pid {
		return
	}
	comm, err := os.ReadFile(dir + "/comm")
	if err != nil {
		return
	}
	f.found[id] = append(list, Holder{pid, string(bytes.TrimSuffix(comm, []byte("\n")))})
}
