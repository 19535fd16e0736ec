// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Proc is a process, or one of its threads, in the form of "proc" in events. Fields that are left out are not
// compared.
type Proc struct {
	Comm    string `json:"comm,omitempty"` // empty: not known
	PID     int    `json:"pid"`
	TID     int    `json:"tid"`
	MntnsID uint64 `json:"mntns_id"`
	Creds   Creds  `json:"creds"`
	Parent  Parent `json:"parent"`
}

// Creds are the real ids.
type Creds struct {
	UID int `json:"uid"`
	GID int `json:"gid"`
}

// Parent is the thread that started a process. Which thread started the workload itself is
// unknown.
type Parent struct {
	Comm string `json:"comm,omitempty"`
	PID  int    `json:"pid"`
	TID  int    `json:"tid,omitempty"`
}

// Self describes this process, that is its first thread. It opens a file.
func Self() (Proc, error) {
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		return Proc{}, err
	}
	p, err := describe(strings.TrimSuffix(string(comm), "\n"))
	p.TID = p.PID
	return p, err
}

// Child describes the first thread of a process that any of p's threads has started.
func (p Proc) Child(comm string, pid int) Proc {
	return Proc{Comm: comm, PID: pid, TID: pid, MntnsID: p.MntnsID, Creds: p.Creds, Parent: Parent{PID: p.PID}}
}

// describe describes the calling thread, and opens nothing.
func describe(comm string) (Proc, error) {
	const maxComm = 15
	mntns, err := Namespace("/proc/thread-self/ns/mnt")
	return Proc{
		Comm:    comm[:min(len(comm), maxComm)],
		PID:     os.Getpid(),
		TID:     unix.Gettid(),
		MntnsID: mntns,
		Creds:   Creds{UID: os.Getuid(), GID: os.Getgid()},
		Parent:  Parent{PID: os.Getppid()},
	}, err
}

// Namespace returns the number of a namespace that has a file in /proc. It opens nothing.
func Namespace(file string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil {
		return 0, fmt.Errorf("find the namespace %s: %w", file, err)
	}
	return st.Ino, nil
}
