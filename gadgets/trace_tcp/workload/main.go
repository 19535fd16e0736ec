// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload makes and ends TCP connections in all the ways that trace_tcp distinguishes.
//
//	workload DIR
//
// All connections are between addresses of this machine. DIR is an empty folder.
package main

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(dir string) error {
	if err := os.Chdir(dir); err != nil { // the address of a local socket has no room for a long path
		return err
	}
	return workload.Cause(nil, workload.InTurn(
		workload.AtOnce(
			workload.InTurn(tasks()...),
			// Timeouts take seconds.
			onThread("tcp-timeout", unanswered),
			onThread("tcp-keepalive", timedOut),
		),
		onThread("tcp-exit", byExit),              // alone: until its child executes cat, the child has all connections
		onThread("tcp-no-fd", withoutDescriptors), // alone: see there
	))
}

func tasks() []workload.Task[Event] {
	var list []workload.Task[Event]
	for _, n := range []struct {
		name string
		network
	}{{"4", ipv4()}, {"6", ipv6()}, {"4in6", mapped()}} {
		with := func(f func(*thread, network)) func(*thread) {
			return func(t *thread) { f(t, n.network) }
		}
		list = append(list,
			onThread("tcp-ends-"+n.name, with(closings)),
			onThread("tcp-refused-"+n.name, with(refusals)),
			onThread("tcp-a-name-longer-than-comm", with(nonBlocking)),
		)
	}
	return append(list,
		onThread("tcp-failures", failures),
		onThread("tcp-given-up", givenUp),
		onThread("tcp-itself", toItself),
		onThread("tcp-fast-open", fastOpen),
		onThread("tcp-accepts", accepts),
		onThread("tcp-passed-on", acrossThreads),
		onThread("tcp-orphan", orphan),
		onThread("tcp-network", inOwnNetwork),
		onThread("tcp-early-ends", fastOpenEnds),
		mptcp(),
		onThread("tcp-others", noTCP),
		onThread("tcp-32-bit", workload.Compat((*thread).call32)),
	)
}

// Event is an event of trace_tcp, with the fields that are known in advance.
type Event struct {
	Proc    workload.Proc     `json:"proc"`
	NetnsID uint64            `json:"netns_id"`
	Type    string            `json:"type"`
	Src     workload.Endpoint `json:"src"`
	Dst     workload.Endpoint `json:"dst"`
	workload.Outcome
	FD       int `json:"fd,omitempty"`
	AcceptFD int `json:"accept_fd"`
}

// thread is a thread that has connections.
type thread struct {
	*workload.Thread[Event]
	netnsID uint64
}

func onThread(comm string, do func(*thread)) workload.Task[Event] {
	return workload.OnThread(comm, func(t *workload.Thread[Event]) error {
		do(&thread{t, workload.Must(workload.Namespace("/proc/thread-self/ns/net"))})
		return nil
	})
}

// list lists an event.
func (t *thread) list(kind string, src, dst workload.Endpoint, errno unix.Errno, fd, acceptFD int) {
	t.Events = append(t.Events, Event{
		Proc: t.Proc, NetnsID: t.netnsID, Type: kind, Src: src, Dst: dst, Outcome: workload.OutcomeOf(errno), FD: fd, AcceptFD: acceptFD,
	})
}
