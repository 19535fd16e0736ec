// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload connects TLS clients to a server, which it is itself, in the ways that trace_sni distinguishes.
//
//	workload DIR
//
// Client and server are two threads, and all packets pass the loopback interface: each hello is an event of the client's thread,
// which sends it, and one of the server's. DIR is not used.
package main

import (
	"crypto/tls"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(string) error {
	server := workload.Must(serverConfig())
	var tasks []workload.Task[Event]
	for _, n := range []network{{unix.AF_INET, 4}, {unix.AF_INET6, 6}} {
		tasks = append(tasks, conversations(n, server, connections()))
	}
	return workload.Cause(nil, workload.InTurn(tasks...))
}

// Event is an event of trace_sni, with the fields that are known in advance.
type Event struct {
	Proc    workload.Proc     `json:"proc"`
	NetnsID uint64            `json:"netns_id"`
	Src     workload.Endpoint `json:"src"`
	Dst     workload.Endpoint `json:"dst"`
	PktType string            `json:"pkt_type"`
	Name    string            `json:"name"`
}

// connection is how a client connects.
type connection struct {
	name  string // that it asks for
	shown string // in events; empty: there is none
	// pieces is the size of the segments in which the hello comes; 0: it comes in one.
	pieces int
	// records is the size of the TLS records in which it comes; 0: it comes in one.
	records int
	// plain is what the client sends instead of TLS.
	plain string
	// resumes says that the client has been there before, and shows its ticket.
	resumes tls.ClientSessionCache
}

func connections() []connection {
	long := strings.Repeat("long.", 40) + "example"
	visited := tls.NewLRUClientSessionCache(1)
	return []connection{
		{name: "plain.example", shown: "plain.example"},
		{name: "pieces.example", shown: "pieces.example", pieces: 500},
		{name: "bytes.example", shown: "bytes.example", pieces: 1},
		{name: "records.example", shown: "records.example", records: 100},
		{name: "both.example", shown: "both.example", pieces: 33, records: 20},
		{name: long, shown: long[:127]},
		{name: long, shown: long[:127], pieces: 10},
		{name: ""},          // there is no name in the hello
		{name: "192.0.2.1"}, // an address is not sent
		{plain: "GET / HTTP/1.1\r\nHost: plain.example\r\n\r\n"},
		{plain: "\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00"}, // not the client's hello
		{plain: "\x16\x16\x16"},
		{name: "visited.example", shown: "visited.example", resumes: visited},
		{name: "visited.example", shown: "visited.example", resumes: visited, pieces: 700},
	}
}

// thread is the client or the server.
type thread struct {
	*workload.Thread[Event]
	netnsID uint64
}

func (t *thread) list(c *connection, src, dst workload.Endpoint, pktType string) {
	if c.shown != "" {
		t.Events = append(t.Events, Event{t.Proc, t.netnsID, src, dst, pktType, c.shown})
	}
}

// conversations are a client that makes all the connections, and its server.
func conversations(n network, config *tls.Config, list []connection) workload.Task[Event] {
	bound := make(chan unix.Sockaddr, 1)
	on := func(comm string, do func(*thread)) workload.Task[Event] {
		return workload.OnThread(comm, func(w *workload.Thread[Event]) error {
			do(&thread{w, workload.Must(workload.Namespace("/proc/thread-self/ns/net"))})
			return nil
		})
	}
	return workload.AtOnce(
		on("sni-server", func(t *thread) { serve(t, n, config, list, bound) }),
		on("sni-client", func(t *thread) { connect(t, n, list, <-bound) }),
	)
}
