// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload makes the kernel send packets of TCP again.
//
//	workload DIR
//
// All of it happens in a network namespace of its own: sockets refuse packets for a while, by a filter, so that
// nothing acknowledges them. DIR is not used.
package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(string) error {
	w := world{Network: workload.Must(workload.NewNetwork()), seesProbes: seesProbes()}
	var tasks []workload.Task[Event]
	for _, n := range []network{ipv4(), ipv6(), mapped()} {
		// At the same time: they wait for timers.
		tasks = append(tasks,
			w.onThread("retrans-connect", func(t *thread) { unanswered(t, n) }),
			w.onThread("retrans-data", func(t *thread) { unacknowledged(t, n, "PSH|ACK", established, send) }),
			w.onThread("retrans-end", func(t *thread) { unacknowledged(t, n, "FIN|ACK", finWait1, shut) }),
		)
	}
	return workload.Cause([]string{"--filter", fmt.Sprintf("netns_id==%d", w.ID)}, workload.InTurn(
		workload.AtOnce(tasks...),
		w.onThread("retrans-none", acknowledged),
	))
}

// Event is an event of trace_tcpretrans, with the fields that are known in advance.
type Event struct {
	Proc    workload.Proc     `json:"proc"`
	NetnsID uint64            `json:"netns_id"`
	Src     workload.Endpoint `json:"src"`
	Dst     workload.Endpoint `json:"dst"`
	State   uint8             `json:"state"`
	Flags   string            `json:"tcpflags"`
	Reason  *uint32           `json:"reason,omitempty"` // nil: not known
	Type    string            `json:"type"`
}

// States of a socket and of its congestion control.
const (
	established = 1
	synSent     = 2
	finWait1    = 4

	open = 0
	loss = 4
)

type thread struct {
	*workload.Thread[Event]
	world
}

// world is what all threads share.
type world struct {
	*workload.Network
	seesProbes bool // the kernel has a hook for the probes
}

func (w world) onThread(comm string, do func(*thread)) workload.Task[Event] {
	return workload.OnThread(comm, func(t *workload.Thread[Event]) error {
		workload.Check("enter", w.Enter())
		do(&thread{t, w})
		return nil
	})
}

// unanswered connects to a socket that takes no packet, until the kernel has tried again, which is after a second.
func unanswered(t *thread, n network) {
	l := n.listener()
	defer workload.CloseFD(l.fd)
	workload.Check("refuse", workload.RefusePackets(l.fd))
	fd, src := n.bound()
	defer workload.CloseFD(fd)
	workload.Check("do not wait", unix.SetNonblock(fd, true))
	workload.Want("connect", unix.Connect(fd, n.At(l.port)), unix.EINPROGRESS)
	waitFor(fd, func(i *unix.TCPInfo) bool { return i.Total_retrans >= 1 })
	reason := uint32(loss)
	for range workload.Must(tcpInfo(fd)).Total_retrans {
		t.Events = append(t.Events, Event{
			Proc: t.Proc, NetnsID: t.ID, Src: src, Dst: endpoint(n.At(l.port)), State: synSent, Flags: "SYN", Reason: &reason, Type: "RETRANS",
		})
	}
}

// unacknowledged sends something to a socket that takes no packet, until the kernel has sent it again twice.
// The kernel counts how often it does; what it sends first, after a short time, is a probe.
func unacknowledged(t *thread, n network, flags string, state uint8, send func(fd int)) {
	c := n.connect()
	defer c.close()
	workload.Check("refuse", workload.RefusePackets(c.peer))
	send(c.fd)
	waitFor(c.fd, func(i *unix.TCPInfo) bool { return i.Total_retrans >= 2 })
	workload.Check("take", workload.TakePackets(c.peer))
	waitFor(c.fd, func(i *unix.TCPInfo) bool { return i.Unacked == 0 })
	e := Event{Proc: t.Proc, NetnsID: t.ID, Src: c.end, Dst: c.peerEnd, State: state, Flags: flags, Type: "RETRANS"}
	for i := range workload.Must(tcpInfo(c.fd)).Total_retrans {
		if i == 0 {
			e.Reason = t.probe(e)
		}
		t.Events = append(t.Events, e)
		e.Reason = nil
	}
}

// probe lists the probe for a loss that comes before the first packet that is sent again, and returns the reason for
// both.
func (t *thread) probe(e Event) *uint32 {
	e.Reason = new(uint32)
	*e.Reason = open
	if t.seesProbes {
		e.Type, e.Flags = "LOSS", ""
		t.Events = append(t.Events, e)
	}
	return e.Reason
}

func send(fd int) { workload.Must(unix.Write(fd, []byte("hello"))) }

func shut(fd int) { workload.Check("shut down", unix.Shutdown(fd, unix.SHUT_WR)) }

// acknowledged sends what arrives at once.
func acknowledged(t *thread) {
	c := ipv4().connect()
	defer c.close()
	for range 100 {
		send(c.fd)
		workload.Must(unix.Read(c.peer, make([]byte, 10)))
	}
}
