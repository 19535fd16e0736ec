// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload binds sockets in all the ways that trace_bind distinguishes.
//
//	workload DIR
//
// DIR is not used.
package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(string) error {
	return workload.Cause([]string{"--ignore-errors=false"}, workload.InTurn(
		onThread("bind-addresses", addresses),
		onThread("bind-a-name-longer-than-comm", someOptions),
		onThread("bind-device", device),
		onThread("bind-failures", failures),
		onThread("bind-bad", badAddresses),
		onThread("bind-nobody", forbidden),
		onThread("bind-network", inOwnNetwork),
		onThread("bind-others", others),
		onThread("bind-32-bit", workload.Compat((*thread).call32)),
	))
}

// thread is a thread that binds sockets.
type thread struct {
	*workload.Thread[Event]
	netnsID uint64
	fds     []int // to be closed
}

func onThread(comm string, do func(*thread)) workload.Task[Event] {
	return workload.OnThread(comm, func(w *workload.Thread[Event]) error {
		t := &thread{Thread: w, netnsID: workload.Must(workload.Namespace("/proc/thread-self/ns/net"))}
		defer func() {
			for _, fd := range t.fds {
				unix.Close(fd)
			}
		}()
		do(t)
		return nil
	})
}

// open makes a socket, which is closed when the thread ends.
func (t *thread) open(domain, kind, number int) int {
	fd := workload.Must(unix.Socket(domain, kind|unix.SOCK_CLOEXEC, number))
	t.fds = append(t.fds, fd)
	return fd
}
