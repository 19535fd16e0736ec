// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Descriptors in events, in place of one.
const (
	noFD      = -1
	unknownFD = 0 // it depends on whether a thread of the kernel does what is described
)

// network is a way to reach this machine.
type network struct {
	workload.Loopback // where to connect to
	version           int
	// listen is where listeners bind.
	listen unix.Sockaddr
}

func ipv4() network {
	l := workload.LoopbackIPv4()
	return network{l, 4, l.At(0)}
}

func ipv6() network {
	l := workload.LoopbackIPv6()
	return network{l, 6, l.At(0)}
}

// mapped is IPv4 through sockets of IPv6.
func mapped() network { return network{workload.LoopbackMapped(), 6, &unix.SockaddrInet6{}} }

func endpoint(a unix.Sockaddr) workload.Endpoint { return workload.EndpointAt(a, unix.IPPROTO_TCP) }

// none is an endpoint of which nothing is known but the version.
func none(version int) workload.Endpoint {
	if version == 4 {
		return endpoint(&unix.SockaddrInet4{})
	}
	return endpoint(&unix.SockaddrInet6{})
}

func (n network) socket(flags int) int {
	return workload.Must(unix.Socket(n.Domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, unix.IPPROTO_TCP))
}

// bound returns a socket that is bound to an address of its own, which is known then.
func (n network) bound(flags int) (int, workload.Endpoint) {
	fd := n.socket(flags)
	workload.Check("bind", unix.Bind(fd, n.At(0)))
	return fd, local(fd)
}

// closedPort returns an address without a listener.
func (n network) closedPort() unix.Sockaddr {
	fd, src := n.bound(0)
	workload.CloseFD(fd)
	return n.At(src.Port)
}

func local(fd int) workload.Endpoint { return endpoint(workload.Must(unix.Getsockname(fd))) }

// listener is a socket that listens, and the address to reach it at.
type listener struct {
	fd   int
	addr unix.Sockaddr
}

// withListener runs do with a listener, which it closes.
func (n network) withListener(backlog int, do func(*listener)) {
	fd := n.socket(0)
	workload.Check("bind", unix.Bind(fd, n.listen))
	workload.Check("listen", unix.Listen(fd, backlog))
	do(&listener{fd: fd, addr: n.At(local(fd).Port)})
	workload.CloseFD(fd)
}

// connection is a connection with both ends in this process.
type connection struct {
	client, server     int
	clientEnd, peerEnd workload.Endpoint // the peer's as the client sees it, and the other way around
}

// connect connects and lists it. The caller closes the socket.
func (t *thread) connect(n network, l *listener) *connection { return t.connectFD(n.socket(0), l) }

func (t *thread) connectFD(fd int, l *listener) *connection {
	workload.Check("connect", unix.Connect(fd, l.addr))
	return t.connected(fd, l)
}

// connected lists that a socket got connected.
func (t *thread) connected(fd int, l *listener) *connection {
	c := &connection{client: fd, server: noFD, clientEnd: local(fd), peerEnd: endpoint(l.addr)}
	t.list("connect", c.clientEnd, c.peerEnd, 0, fd, noFD)
	return c
}

// accept accepts the connection and lists it. The caller closes the socket.
func (t *thread) accept(l *listener, c *connection) {
	fd, _, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC)
	workload.Check("accept", err)
	t.accepted(fd, l, c)
}

// accepted lists that a connection got accepted.
func (t *thread) accepted(fd int, l *listener, c *connection) {
	c.server = fd
	t.list("accept", c.peerEnd, c.clientEnd, 0, l.fd, fd)
}

// closeClient closes the client's socket and lists it.
func (t *thread) closeClient(c *connection) {
	t.list("close", c.clientEnd, c.peerEnd, 0, c.client, noFD)
	workload.CloseFD(c.client)
}

// closeServer closes the server's end.
func (t *thread) closeServer(c *connection) {
	t.list("close", c.peerEnd, c.clientEnd, 0, c.server, noFD)
	workload.CloseFD(c.server)
}

// withPair runs do with a connection.
func (t *thread) withPair(n network, do func(*connection)) {
	n.withListener(1, func(l *listener) {
		c := t.connect(n, l)
		t.accept(l, c)
		do(c)
	})
}
