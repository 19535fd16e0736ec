// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// thread is one that binds sockets.
type thread struct {
	*workload.Thread[Event]
	netnsID uint64
	fds     []int // to be closed
}

func onThread(comm string, do func(*thread) error) workload.Task[Event] {
	return workload.OnThread(comm, func(w *workload.Thread[Event]) error {
		netns, err := workload.Namespace("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		t := &thread{Thread: w, netnsID: netns}
		defer t.close()
		return do(t)
	})
}

func (t *thread) close() {
	for _, fd := range t.fds {
		unix.Close(fd)
	}
}
