// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload makes the kernel drop packets of TCP in the ways that trace_tcpdrop distinguishes.
//
//	workload DIR
//
// All of it happens in a network namespace of its own. DIR is not used.
package main

import (
	"fmt"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(string) error {
	w := world{Network: workload.Must(workload.NewNetwork()), namesReceiver: namesReceiver()}
	// Only this namespace: many of the packets belong to no process.
	args := []string{"--filter", fmt.Sprintf("netns_id==%d", w.ID)}
	return workload.Cause(args, workload.InTurn(
		w.onThread("drop-refused", refused),
		w.onThread("drop-filtered", filtered),
		w.onThread("drop-sent", sent),
		w.onThread("drop-bad", malformed),
		w.onThread("drop-time-wait", timeWait),
		w.onThread("drop-others", others),
	))
}

// Event is an event of trace_tcpdrop, with the fields that are known in advance.
type Event struct {
	NetnsID uint64            `json:"netns_id"`
	Src     workload.Endpoint `json:"src"`
	Dst     workload.Endpoint `json:"dst"`
	State   string            `json:"state"`
	Reason  string            `json:"reason,omitempty"` // empty: another in other versions of the kernel
	Flags   string            `json:"tcpflags"`
	Owner
}

// Owner is the process that owns the socket, or zeros.
type Owner struct {
	Comm    string `json:"comm"`
	PID     int    `json:"pid"`
	TID     int    `json:"tid"`
	MntnsID uint64 `json:"mount_ns_id"`
	UID     int    `json:"uid"`
	GID     int    `json:"gid"`
}

// thread is a thread whose packets get dropped.
type thread struct {
	*workload.Thread[Event]
	world
}

// world is what all threads share.
type world struct {
	*workload.Network
	// namesReceiver says whether the kernel names the socket that a packet was received for: since 6.11.
	namesReceiver bool
}

func (w world) onThread(comm string, do func(*thread)) workload.Task[Event] {
	return workload.OnThread(comm, func(t *workload.Thread[Event]) error {
		workload.Check("enter", w.Enter())
		do(&thread{t, w})
		return nil
	})
}

// drop lists the drop of a packet, which belongs to no socket.
func (t *thread) drop(reason string, flags string, src, dst workload.Endpoint) *Event {
	t.Events = append(t.Events, Event{
		NetnsID: t.ID, Src: src, Dst: dst, State: "tcp_none", Reason: reason, Flags: flags,
	})
	return &t.Events[len(t.Events)-1]
}

// of says that the packet belongs to a socket of this thread in a state.
func (t *thread) of(e *Event, state string) {
	e.State = state
	e.Owner = Owner{t.Proc.Comm, t.Proc.PID, t.Proc.TID, t.Proc.MntnsID, t.Proc.Creds.UID, t.Proc.Creds.GID}
}

// receivedBy is of for a packet that was received, and whose socket older kernels do not name: the owner is known if
// the socket had been found by its port.
func (t *thread) receivedBy(e *Event, state string, found bool) {
	if t.namesReceiver || found {
		t.of(e, state)
	}
	if !t.namesReceiver {
		e.State = "tcp_none"
	}
}
