// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// network is a way to reach this machine.
type network struct{ workload.Loopback }

func ipv4() network   { return network{workload.LoopbackIPv4()} }
func ipv6() network   { return network{workload.LoopbackIPv6()} }
func mapped() network { return network{workload.LoopbackMapped()} }

func networks() []network {
	return []network{ipv4(), ipv6(), mapped()}
}

func local(fd int) workload.Endpoint {
	return workload.EndpointAt(workload.Must(unix.Getsockname(fd)), unix.IPPROTO_TCP)
}

// connection is a connection with both ends here.
type connection struct {
	client, server       int
	clientEnd, serverEnd workload.Endpoint
}

func (n network) connect() *connection {
	l := workload.Must(unix.Socket(n.Domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP))
	defer unix.Close(l)
	workload.Check("bind", unix.Bind(l, n.At(0)))
	workload.Check("listen", unix.Listen(l, 1))
	c := &connection{}
	c.client = workload.Must(unix.Socket(n.Domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP))
	workload.Check("connect", unix.Connect(c.client, n.At(local(l).Port)))
	var err error
	c.server, _, err = unix.Accept4(l, unix.SOCK_CLOEXEC)
	workload.Check("accept", err)
	c.clientEnd, c.serverEnd = local(c.client), local(c.server)
	return c
}

func (c *connection) close() {
	workload.CloseFD(c.client)
	workload.CloseFD(c.server)
}

// client lists what the thread has moved through the client's end.
func (t *thread) client(c *connection, sent, received int) {
	t.list(c.clientEnd, c.serverEnd, sent, received)
}

// server is client for the other end.
func (t *thread) server(c *connection, sent, received int) {
	t.list(c.serverEnd, c.clientEnd, sent, received)
}

// send sends n bytes with write.
func send(fd, n int) { want("send", n, workload.Must(unix.Write(fd, make([]byte, n)))) }

// receive receives n bytes, with as many calls as it takes.
func receive(fd, n int) {
	for n > 0 {
		n -= workload.Must(unix.Read(fd, make([]byte, n)))
	}
}
