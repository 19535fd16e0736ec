// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload asks a DNS server, which it is itself, in the ways that trace_dns distinguishes.
//
//	workload DIR
//
// Client and server are two threads, and all messages pass the loopback interface: each is an event of the thread that
// sends it, and one of the thread that receives it. DIR is not used.
package main

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(string) error {
	port := freePort()
	// An unused port among the others shows that a list works.
	args := []string{"--ports", "1," + strconv.Itoa(port)}
	var tasks []workload.Task[Event]
	for _, n := range []network{{unix.AF_INET, 4, port}, {unix.AF_INET6, 6, port}} {
		tasks = append(tasks,
			conversation(n, "udp", datagrams, exchanges()),
			conversation(n, "tcp", streams, append(exchanges(), long()...)))
	}
	return workload.Cause(args, workload.InTurn(tasks...))
}

// Event is an event of trace_dns, with the fields that are known in advance.
type Event struct {
	Proc       workload.Proc     `json:"proc"`
	NetnsID    uint64            `json:"netns_id"`
	Src        workload.Endpoint `json:"src"`
	Dst        workload.Endpoint `json:"dst"`
	NameServer address           `json:"nameserver"`
	PktType    string            `json:"pkt_type"`
	facts
	// Latency is 0 in all events but the answers that the client gets.
	Latency *int `json:"latency_ns_raw,omitempty"`
}

// address is an address without a port, in the form of events.
type address struct {
	Addr    string `json:"addr"`
	Version int    `json:"version"`
}

// thread is the client or the server.
type thread struct {
	*workload.Thread[Event]
	netnsID uint64
	server  workload.Endpoint
}

// list lists a message that the thread sends or receives.
func (t *thread) list(m *message, src, dst workload.Endpoint, pktType string) {
	e := Event{Proc: t.Proc, NetnsID: t.netnsID, Src: src, Dst: dst, PktType: pktType, facts: m.facts,
		NameServer: address{t.server.Addr, t.server.Version}}
	if e.QR == "Q" || pktType == "OUTGOING" {
		e.Latency = new(int)
	}
	t.Events = append(t.Events, e)
}

// transport is the client's and the server's side of the ways to send messages.
type transport struct {
	// serve binds, sends the address, and then answers the messages.
	serve func(t *thread, n network, exchanges []exchange, bound chan<- struct{})
	ask   func(t *thread, n network, exchanges []exchange)
	proto int
}

// conversation is a client that asks all the questions, and its server.
func conversation(n network, name string, how transport, exchanges []exchange) workload.Task[Event] {
	bound := make(chan struct{})
	on := func(role string, do func(*thread)) workload.Task[Event] {
		return workload.OnThread("dns-"+role+"-"+name, func(w *workload.Thread[Event]) error {
			t := &thread{w, workload.Must(workload.Namespace("/proc/thread-self/ns/net")), n.server(how.proto)}
			do(t)
			return nil
		})
	}
	return workload.AtOnce(
		on("server", func(t *thread) { how.serve(t, n, exchanges, bound) }),
		on("client", func(t *thread) {
			<-bound
			how.ask(t, n, exchanges)
		}),
	)
}
