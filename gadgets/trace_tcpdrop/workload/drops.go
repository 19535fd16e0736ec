// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// refused connects to ports without a socket.
func refused(t *thread) {
	for _, n := range networks() {
		fd, src := n.bound(unix.IPPROTO_TCP)
		t.drop(reasonNoSocket, "SYN", src, n.wire(1))
		workload.Want("connect", unix.Connect(fd, n.At(1)), unix.ECONNREFUSED)
		workload.CloseFD(fd)
	}
}

// filtered connects to a socket whose filter takes no packet. The connection is given up before the second try,
// which comes after a second.
func filtered(t *thread) {
	for _, n := range networks() {
		l := n.listener()
		workload.Check("refuse", workload.RefusePackets(l.fd))
		fd, src := n.bound(unix.IPPROTO_TCP)
		t.receivedBy(t.drop(reasonFilter, "SYN", src, n.wire(l.port)), "tcp_listen", false)
		t.connectInVain(fd, n.At(l.port))
		workload.CloseFD(l.fd)
	}
}

// sent connects through an interface that is down.
func sent(t *thread) {
	workload.Check("turn off", workload.SetLoopback(false))
	defer func() { workload.Check("turn on", workload.SetLoopback(true)) }()
	// The routes of IPv6 do not outlive the interface.
	for _, n := range []network{ipv4(), mapped()} {
		fd, src := n.bound(unix.IPPROTO_TCP)
		t.of(t.drop(reasonQueue, "SYN", src, n.wire(1)), "tcp_syn_sent")
		t.connectInVain(fd, n.At(1))
	}
}

// connectInVain connects, does not wait, and closes.
func (t *thread) connectInVain(fd int, to unix.Sockaddr) {
	workload.Check("do not wait", unix.SetNonblock(fd, true))
	workload.Want("connect", unix.Connect(fd, to), unix.EINPROGRESS)
	workload.CloseFD(fd)
}

// malformed sends packets that a socket cannot take.
func malformed(t *thread) {
	n := ipv4()
	l := n.listener()
	defer workload.CloseFD(l.fd)
	server, client := t.accept(n, l), 1000
	defer workload.CloseFD(server.fd)
	defer workload.CloseFD(server.peer)

	t.drop(reasonChecksum, "SYN|ECE|CWR", n.wire(client), n.wire(l.port))
	send(workload.Segment{From: client, To: l.port, Flags: workload.SYN | workload.ECE | workload.CWR, Broken: true})

	// Nothing answers a packet without flags.
	t.receivedBy(t.drop(reasonFlags, "", n.wire(client), n.wire(l.port)), "tcp_listen", true)
	send(workload.Segment{From: client, To: l.port})
	t.receivedBy(t.drop(reasonFlags, "PSH|URG", n.wire(server.peerPort), n.wire(l.port)), "tcp_established", true)
	send(workload.Segment{From: server.peerPort, To: l.port, Flags: workload.PSH | workload.URG})

	// The answer to a packet for no socket is for none either.
	t.drop(reasonNoSocket, "FIN|ACK", n.wire(client), n.wire(1))
	t.drop(reasonNoSocket, "RST", n.wire(1), n.wire(client))
	send(workload.Segment{From: client, To: 1, Flags: workload.FIN | workload.ACK})
}

func send(s workload.Segment) { workload.Check("send", workload.Send(s)) }

// timeWait sends a reset to the rest of a connection, which has not seen the end of the other side before it became
// that: this end is no drop.
func timeWait(t *thread) {
	n := ipv4()
	l := n.listener()
	defer workload.CloseFD(l.fd)
	c := t.accept(n, l)
	workload.Check("shut down", unix.Shutdown(c.peer, unix.SHUT_WR))
	waitForState(c.peer, finWait2)
	workload.CloseFD(c.peer)
	workload.Check("shut down", unix.Shutdown(c.fd, unix.SHUT_WR))
	waitForState(c.fd, closed) // the end has been acknowledged
	workload.CloseFD(c.fd)
	e := t.drop("", "RST", n.wire(l.port), n.wire(c.peerPort))
	if t.namesReceiver {
		e.State = "tcp_time_wait"
	}
	send(workload.Segment{From: l.port, To: c.peerPort, Flags: workload.RST})
}

// others are no drops of TCP: of UDP, of copies for a socket that sees all packets, and of the queues of
// closed sockets.
func others(t *thread) {
	tap := workload.Must(unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP))
	n := ipv4()
	l := n.listener()
	c := t.accept(n, l)
	workload.Must(unix.Write(c.peer, []byte("never read")))
	workload.WaitForSocket(c.fd, unix.POLLIN)
	workload.CloseFD(c.fd)
	waitForState(c.peer, closed) // it has been reset
	workload.CloseFD(c.peer)
	workload.CloseFD(l.fd)
	workload.CloseFD(tap)
	udp, _ := n.bound(unix.IPPROTO_UDP)
	workload.Check("send to no socket", unix.Sendto(udp, []byte("hello"), 0, n.At(1)))
	workload.CloseFD(udp)
}
