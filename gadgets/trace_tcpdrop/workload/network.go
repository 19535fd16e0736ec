// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"time"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Names of the kernel.
const (
	reasonNoSocket = "SKB_DROP_REASON_NO_SOCKET"
	reasonFilter   = "SKB_DROP_REASON_SOCKET_FILTER"
	reasonQueue    = "SKB_DROP_REASON_QDISC_DROP"
	reasonChecksum = "SKB_DROP_REASON_TCP_CSUM"
	reasonFlags    = "SKB_DROP_REASON_TCP_FLAGS"
)

// namesReceiver reports whether the kernel's tracepoint has the socket that a packet was received for.
func namesReceiver() bool {
	spec := workload.Must(btf.LoadKernelSpec())
	var record *btf.Struct
	workload.Check("look at the tracepoint", spec.TypeByName("trace_event_raw_kfree_skb", &record))
	for _, m := range record.Members {
		if m.Name == "rx_sk" {
			return true
		}
	}
	return false
}

// network is a way to reach this machine.
type network struct {
	workload.Loopback
	// wire is an address as it is in packets.
	wire func(port int) workload.Endpoint
}

func networks() []network { return []network{ipv4(), ipv6(), mapped()} }

func ipv4() network { return direct(workload.LoopbackIPv4()) }

func ipv6() network { return direct(workload.LoopbackIPv6()) }

func direct(l workload.Loopback) network {
	return network{l, func(port int) workload.Endpoint { return endpoint(l.At(port)) }}
}

// mapped is IPv4 through sockets of IPv6: the packets are those of IPv4.
func mapped() network { return network{workload.LoopbackMapped(), ipv4().wire} }

func endpoint(a unix.Sockaddr) workload.Endpoint { return workload.EndpointAt(a, unix.IPPROTO_TCP) }

// bound returns a socket that is bound to a port, and its end in packets.
func (n network) bound(proto int) (fd int, end workload.Endpoint) {
	kind := unix.SOCK_STREAM
	if proto == unix.IPPROTO_UDP {
		kind = unix.SOCK_DGRAM
	}
	fd = workload.Must(unix.Socket(n.Domain, kind|unix.SOCK_CLOEXEC, proto))
	workload.Check("bind", unix.Bind(fd, n.At(0)))
	return fd, n.wire(portOf(fd))
}

func portOf(fd int) int { return endpoint(workload.Must(unix.Getsockname(fd))).Port }

// listener is a socket that listens. The caller closes it.
type listener struct{ fd, port int }

func (n network) listener() listener {
	fd, end := n.bound(unix.IPPROTO_TCP)
	workload.Check("listen", unix.Listen(fd, 8))
	return listener{fd, end.Port}
}

// connection is a connection with both ends here. The caller closes both.
type connection struct {
	fd, peer int // the server's and the client's
	peerPort int
}

func (t *thread) accept(n network, l listener) connection {
	peer, end := n.bound(unix.IPPROTO_TCP)
	workload.Check("connect", unix.Connect(peer, n.At(l.port)))
	fd, _, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC)
	workload.Check("accept", err)
	return connection{fd, peer, end.Port}
}

// States of a socket.
const (
	finWait2 = 5
	closed   = 7
)

// waitForState waits until a socket is in a state. The other side may acknowledge an end with a delay.
func waitForState(fd int, state uint8) {
	for range 1000 {
		if workload.Must(unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)).State == state {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	workload.Check("wait", errors.New("the socket does not get into the state"))
}
