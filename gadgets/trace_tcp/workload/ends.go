// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// timedOut ends a connection whose other side does not answer any more.
func timedOut(t *thread) {
	t.netnsID = workload.Must(t.OwnNetwork())
	t.withPair(ipv4(), func(c *connection) {
		for _, o := range []struct{ level, name int }{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}, // seconds
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
		} {
			workload.Check("ask for the other side", unix.SetsockoptInt(c.client, o.level, o.name, 1))
		}
		workload.Check("turn off", workload.SetLoopback(false))
		workload.WaitForSocket(c.client, unix.POLLHUP)
		workload.Want("read", readError(c.client, nil), unix.ETIMEDOUT)
		t.closeClient(c)
		abortive(c.server)
		t.closeServer(c)
	})
}

// silently closes one end of a connection as programs do that move it to another machine: without a packet.
func (t *thread) silently(c *connection) {
	workload.Check("repair", unix.SetsockoptInt(c.client, unix.IPPROTO_TCP, unix.TCP_REPAIR, 1))
	t.closeClient(c)
	abortive(c.server)
	t.closeServer(c)
}

// fastOpenEnds ends connections that came with data, before the other side has answered.
func fastOpenEnds(t *thread) {
	const clientsAndServersWithoutCookies = "0x207"
	t.netnsID = workload.Must(t.OwnNetwork())
	err := os.WriteFile("/proc/sys/net/ipv4/tcp_fastopen", []byte(clientsAndServersWithoutCookies), 0)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, unix.EROFS) {
		return // the administrator of a container does not want that
	}
	workload.Check("allow fast open", err)
	for _, end := range []func(*connection){
		t.closeServer,
		func(c *connection) {
			abortive(c.server)
			t.closeServer(c)
		},
		func(c *connection) {
			t.list("close", c.peerEnd, c.clientEnd, 0, c.server, noFD)
			shut(c.server, unix.SHUT_RDWR)
			workload.CloseFD(c.server)
		},
		func(c *connection) {
			t.list("close", c.peerEnd, c.clientEnd, 0, c.server, noFD)
			disconnect(c.server)
		},
		func(c *connection) { // the other side resets it
			s := fastOpenSegment(c)
			s.Seq, s.Flags, s.Options, s.Data = s.Seq+1+uint32(len(s.Data)), workload.RST, nil, ""
			workload.Check("reset", workload.Send(s))
			workload.WaitForSocket(c.server, unix.POLLHUP)
			t.closeServer(c)
		},
	} {
		t.withFastOpen(end)
	}
}

// withFastOpen runs do with the server's end of a connection that came with data. A socket takes the answers, and
// does not answer in turn.
func (t *thread) withFastOpen(do func(*connection)) {
	n := ipv4()
	n.withListener(1, func(client *listener) {
		workload.Check("refuse", workload.RefusePackets(client.fd))
		n.withListener(1, func(l *listener) {
			workload.Check("fast open", unix.SetsockoptInt(l.fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 1))
			c := &connection{clientEnd: endpoint(client.addr), peerEnd: endpoint(l.addr)}
			workload.Check("send", workload.Send(fastOpenSegment(c)))
			workload.WaitForSocket(l.fd, unix.POLLIN)
			t.accept(l, c)
			do(c)
		})
	})
}

// fastOpenSegment is the first packet of such a connection.
func fastOpenSegment(c *connection) workload.Segment {
	askForCookie := []byte{34, 2, 1, 1}
	return workload.Segment{
		From: c.clientEnd.Port, To: c.peerEnd.Port, Seq: 1000, Flags: workload.SYN, Options: askForCookie, Data: "hello",
	}
}

// mptcp makes connections of MPTCP, where the kernel has that, and of MPTCP with TCP. The two ends have a thread
// each, because the kernel may close them in any order.
func mptcp() workload.Task[Event] {
	const mptcp = 262
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, mptcp)
	if err != nil {
		return workload.InTurn[Event]()
	}
	workload.CloseFD(fd)
	var tasks []workload.Task[Event]
	for _, client := range []int{mptcp, unix.IPPROTO_TCP} {
		for _, server := range []int{mptcp, unix.IPPROTO_TCP} {
			tasks = append(tasks, mptcpPair(client, server))
		}
	}
	return workload.InTurn(tasks...)
}

// mptcpPair makes a connection between sockets of two protocols.
func mptcpPair(clientProtocol, serverProtocol int) workload.Task[Event] {
	n, listening, accepted, done := ipv4(), make(chan unix.Sockaddr, 1), make(chan bool, 1), make(chan bool)
	server := onThread("mptcp-server", func(t *thread) {
		defer close(listening)
		defer close(accepted)
		l := workload.Must(unix.Socket(n.Domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, serverProtocol))
		workload.Check("bind", unix.Bind(l, n.At(0)))
		workload.Check("listen", unix.Listen(l, 1))
		addr := n.At(local(l).Port)
		listening <- addr
		fd, from, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
		workload.Check("accept", err)
		c := &connection{clientEnd: endpoint(from), peerEnd: endpoint(addr)}
		t.accepted(fd, &listener{l, addr}, c)
		accepted <- true
		<-done
		t.list("close", c.peerEnd, c.clientEnd, 0, unknownFD, noFD)
		workload.CloseFD(fd)
		workload.CloseFD(l)
		waitUntilGone(c)
	})
	client := onThread("mptcp-client", func(t *thread) {
		defer close(done)
		addr := <-listening
		fd := workload.Must(unix.Socket(n.Domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, clientProtocol))
		workload.Check("connect", unix.Connect(fd, addr))
		c := t.connected(fd, &listener{addr: addr})
		<-accepted
		t.list("close", c.clientEnd, c.peerEnd, 0, unknownFD, noFD)
		workload.CloseFD(fd)
	})
	return workload.AtOnce(server, client)
}

// waitUntilGone waits until the kernel has closed both ends.
func waitUntilGone(c *connection) {
	ports := []string{fmt.Sprintf(":%04X ", c.clientEnd.Port), fmt.Sprintf(":%04X ", c.peerEnd.Port)}
	for range 1000 {
		open := 0
		for line := range strings.Lines(string(workload.Must(os.ReadFile("/proc/thread-self/net/tcp")))) {
			f := strings.Fields(line)
			const timeWait = "06"
			if strings.Contains(line, ports[0]) && strings.Contains(line, ports[1]) && f[3] != timeWait {
				open++
			}
		}
		if open == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	workload.Check("wait", errors.New("the connection is not closed"))
}
