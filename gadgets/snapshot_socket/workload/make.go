// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// The addresses of the sockets; the kernel finds ports for them.
var (
	loopback4 = netip.MustParseAddrPort("127.0.0.1:0")
	other4    = netip.MustParseAddrPort("127.1.2.3:0")
	loopback6 = netip.MustParseAddrPort("[::1]:0")
	any6      = netip.MustParseAddrPort("[::]:0")
)

func (m *maker) makeAll() {
	for _, at := range []netip.AddrPort{loopback4, other4, loopback6} {
		m.open(at)
		m.halfClosed(at)
		m.closed(at)
		m.refused(at)
		m.datagrams(at)
	}
	m.mapped()
}

// listen makes a socket that listens.
func (m *maker) listen(at netip.AddrPort, backlog int) (int, netip.AddrPort) {
	fd := socket(unix.SOCK_STREAM, at)
	workload.Check("listen", unix.Listen(fd, backlog))
	at = local(fd)
	m.add(fd, unix.SOCK_STREAM, "LISTEN", at, netip.AddrPort{})
	return fd, at
}

// pair makes a connection.
func (m *maker) pair(at netip.AddrPort) (client, server int, from, to netip.AddrPort) {
	listener, to := m.listen(at, 1)
	client = connect(unix.SOCK_STREAM, at, to)
	return client, accept(listener), local(client), to
}

// open makes a connection that is open.
func (m *maker) open(at netip.AddrPort) {
	client, server, from, to := m.pair(at)
	m.add(client, unix.SOCK_STREAM, "ESTABLISHED", from, to)
	m.add(server, unix.SOCK_STREAM, "ESTABLISHED", to, from)
}

// shut ends one direction of a connection and waits until the other side knows.
func shut(fd int) {
	workload.Check("shut down", unix.Shutdown(fd, unix.SHUT_WR))
	workload.Check("shut down", waitFor(fd, finWait2))
}

// halfClosed makes two connections that one side has closed: in one that side keeps its socket, in the other
// it has none any more.
func (m *maker) halfClosed(at netip.AddrPort) {
	for _, keep := range []bool{true, false} {
		client, server, from, to := m.pair(at)
		shut(client)
		if !keep {
			unix.Close(client)
			client = -1
		}
		m.add(client, unix.SOCK_STREAM, "FIN_WAIT2", from, to)
		m.add(server, unix.SOCK_STREAM, "CLOSE_WAIT", to, from)
	}
}

// closed makes a connection that both sides have closed. The side that was first has to wait.
func (m *maker) closed(at netip.AddrPort) {
	client, server, from, to := m.pair(at)
	shut(client)
	unix.Close(server)
	unix.Close(client)
	m.add(-1, unix.SOCK_STREAM, "TIME_WAIT", from, to)
}

// refused makes connections to a listener that accepts none, until there is no answer.
func (m *maker) refused(at netip.AddrPort) {
	_, to := m.listen(at, 0)
	for range 4 {
		client := connect(unix.SOCK_STREAM|unix.SOCK_NONBLOCK, at, to)
		from := local(client)
		if waitFor(client, established) != nil {
			m.add(client, unix.SOCK_STREAM, "SYN_SENT", from, to)
			return
		}
		m.add(client, unix.SOCK_STREAM, "ESTABLISHED", from, to)
		m.add(-1, unix.SOCK_STREAM, "ESTABLISHED", to, from) // not accepted yet
	}
	workload.Check("be refused", errors.New("each connection to a socket with no backlog was accepted"))
}

// datagrams makes UDP sockets, one of them connected.
func (m *maker) datagrams(at netip.AddrPort) {
	alone := socket(unix.SOCK_DGRAM, at)
	to := local(alone)
	client := connect(unix.SOCK_DGRAM, at, to)
	m.add(alone, unix.SOCK_DGRAM, "CLOSE", to, netip.AddrPort{})
	m.add(client, unix.SOCK_DGRAM, "ESTABLISHED", local(client), to)
}

// mapped makes an IPv4 connection to an IPv6 socket.
func (m *maker) mapped() {
	listener, all := m.listen(any6, 1)
	to := netip.AddrPortFrom(loopback4.Addr(), all.Port())
	client := connect(unix.SOCK_STREAM, loopback4, to)
	from := local(client)
	m.add(client, unix.SOCK_STREAM, "ESTABLISHED", from, to)
	m.add(accept(listener), unix.SOCK_STREAM, "ESTABLISHED", as6(to), as6(from))
}

func as6(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
}

// waitFor waits until a connection has the state.
func waitFor(fd int, want uint8) error {
	var now uint8
	for range 100 {
		now = workload.Must(unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)).State
		if now == want {
			return nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	return fmt.Errorf("the state of a connection is %d, want %d", now, want)
}
