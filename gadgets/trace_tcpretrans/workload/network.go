// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// network is a way to reach this machine.
type network struct{ workload.Loopback }

func ipv4() network   { return network{workload.LoopbackIPv4()} }
func ipv6() network   { return network{workload.LoopbackIPv6()} }
func mapped() network { return network{workload.LoopbackMapped()} }

func endpoint(a unix.Sockaddr) workload.Endpoint { return workload.EndpointAt(a, unix.IPPROTO_TCP) }

// bound returns a socket that is bound to a port.
func (n network) bound() (fd int, end workload.Endpoint) {
	fd = workload.Must(unix.Socket(n.Domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP))
	workload.Check("bind", unix.Bind(fd, n.At(0)))
	return fd, endpoint(workload.Must(unix.Getsockname(fd)))
}

// listener is a socket that listens. The caller closes it.
type listener struct{ fd, port int }

func (n network) listener() listener {
	fd, end := n.bound()
	workload.Check("listen", unix.Listen(fd, 8))
	return listener{fd, end.Port}
}

// connection is a connection with both ends here.
type connection struct {
	fd, peer     int
	end, peerEnd workload.Endpoint
}

func (n network) connect() connection {
	l := n.listener()
	defer workload.CloseFD(l.fd)
	fd, end := n.bound()
	workload.Check("connect", unix.Connect(fd, n.At(l.port)))
	peer, _, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC)
	workload.Check("accept", err)
	return connection{fd, peer, end, endpoint(n.At(l.port))}
}

func (c connection) close() {
	workload.CloseFD(c.fd)
	workload.CloseFD(c.peer)
}

func tcpInfo(fd int) (*unix.TCPInfo, error) {
	return unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
}

// waitFor waits until a socket is as wanted.
func waitFor(fd int, as func(*unix.TCPInfo) bool) {
	for range 3000 {
		if as(workload.Must(tcpInfo(fd))) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	workload.Check("wait", errors.New("the socket does not get there"))
}
