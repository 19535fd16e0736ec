// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

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
	domain, version int
	// listen is where listeners bind, at turns that into an address to connect to.
	listen unix.Sockaddr
	at     func(port int) unix.Sockaddr
}

func ipv4() network {
	at := func(port int) unix.Sockaddr { return &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port} }
	return network{unix.AF_INET, 4, at(0), at}
}

func ipv6() network {
	at := func(port int) unix.Sockaddr { return &unix.SockaddrInet6{Addr: [16]byte{15: 1}, Port: port} }
	return network{unix.AF_INET6, 6, at(0), at}
}

// mapped is IPv4 through sockets of IPv6.
func mapped() network {
	at := func(port int) unix.Sockaddr {
		return &unix.SockaddrInet6{Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}, Port: port}
	}
	return network{unix.AF_INET6, 6, &unix.SockaddrInet6{}, at}
}

func endpoint(a unix.Sockaddr) workload.Endpoint { return workload.EndpointAt(a, unix.IPPROTO_TCP) }

// none is an endpoint of which nothing is known but the version.
func none(version int) workload.Endpoint {
	if version == 4 {
		return endpoint(&unix.SockaddrInet4{})
	}
	return endpoint(&unix.SockaddrInet6{})
}

func (n network) socket(flags int) int {
	return workload.Must(unix.Socket(n.domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, unix.IPPROTO_TCP))
}

// bound returns a socket that is bound to an address of its own, which is known then.
func (n network) bound(flags int) (int, workload.Endpoint) {
	fd := n.socket(flags)
	workload.Check("bind", unix.Bind(fd, n.at(0)))
	return fd, local(fd)
}

// closedPort returns an address without a listener.
func (n network) closedPort() unix.Sockaddr {
	fd, src := n.bound(0)
	closeFD(fd)
	return n.at(src.Port)
}

func local(fd int) workload.Endpoint { return endpoint(workload.Must(unix.Getsockname(fd))) }

func closeFD(fd int) { workload.Check("close", unix.Close(fd)) }

// wait waits until the socket is ready for something.
func wait(fd int, events int16) {
	const tenSeconds = 10_000
	p := []unix.PollFd{{Fd: int32(fd), Events: events}}
	n, err := unix.Poll(p, tenSeconds)
	for err == unix.EINTR {
		n, err = unix.Poll(p, tenSeconds)
	}
	if err == nil && n == 0 {
		err = errors.New("it does not get ready")
	}
	workload.Check("wait for a socket", err)
}

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
	do(&listener{fd: fd, addr: n.at(local(fd).Port)})
	closeFD(fd)
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
	closeFD(c.client)
}

// closeServer closes the server's end.
func (t *thread) closeServer(c *connection) {
	t.list("close", c.peerEnd, c.clientEnd, 0, c.server, noFD)
	closeFD(c.server)
}

// withPair runs do with a connection.
func (t *thread) withPair(n network, do func(*connection)) {
	n.withListener(1, func(l *listener) {
		c := t.connect(n, l)
		t.accept(l, c)
		do(c)
	})
}
