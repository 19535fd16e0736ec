// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// thread is one that has connections.
type thread struct {
	*workload.Thread[Event]
	netnsID uint64
}

func onThread(comm string, do func(*thread) error) workload.Task[Event] {
	return workload.OnThread(comm, func(t *workload.Thread[Event]) error {
		netns, err := workload.Namespace("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		return do(&thread{t, netns})
	})
}

// list lists an event.
func (t *thread) list(kind string, src, dst workload.Endpoint, errno unix.Errno, fd, acceptFD int) {
	e := Event{Proc: t.Proc, NetnsID: t.netnsID, Type: kind, Src: src, Dst: dst, FD: fd, AcceptFD: acceptFD}
	if errno != 0 {
		e.Error, e.ErrorRaw = unix.ErrnoName(errno), uint32(errno)
	}
	t.Events = append(t.Events, e)
}
