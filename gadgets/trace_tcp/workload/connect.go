// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// refusals connects to a port without a listener, twice with one socket.
func refusals(t *thread, n network) {
	from, to, fd := n.closedPort(), n.closedPort(), n.socket(0)
	defer unix.Close(fd)
	workload.Check("bind", unix.Bind(fd, from)) // to a port that stays when the call fails
	for range 2 {
		t.list("connect", endpoint(from), endpoint(to), unix.ECONNREFUSED, fd, noFD)
		workload.Want("connect", unix.Connect(fd, to), unix.ECONNREFUSED)
	}
}

// nonBlocking connects with sockets that do not wait. The first call returns before there is a
// result, which is not a failure; a later call returns the result, which is not an event.
func nonBlocking(t *thread, n network) {
	n.withListener(1, func(l *listener) {
		fd := n.socket(unix.SOCK_NONBLOCK)
		workload.Want("connect", unix.Connect(fd, l.addr), unix.EINPROGRESS)
		workload.WaitForSocket(fd, unix.POLLOUT)
		workload.Want("ask for the result", unix.Connect(fd, l.addr), 0)
		workload.Want("connect again", unix.Connect(fd, l.addr), unix.EISCONN)
		t.closeClient(t.connected(fd, l))
		t.refusedLater(n, unix.Connect)
		t.refusedLater(n, readError)
	})
}

// refusedLater does not wait for the refusal but queries it later, in one of several ways.
func (t *thread) refusedLater(n network, ask func(fd int, to unix.Sockaddr) error) {
	to := n.closedPort()
	fd, src := n.bound(unix.SOCK_NONBLOCK)
	defer unix.Close(fd)
	t.list("connect", src, endpoint(to), unix.ECONNREFUSED, fd, noFD)
	workload.Want("connect", unix.Connect(fd, to), unix.EINPROGRESS)
	workload.WaitForSocket(fd, unix.POLLOUT)
	workload.Want("ask for the result", ask(fd, to), unix.ECONNREFUSED)
}

func readError(fd int, _ unix.Sockaddr) error {
	return unix.Errno(workload.Must(unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)))
}

// failures are calls that send nothing.
func failures(t *thread) {
	multicast4 := &unix.SockaddrInet4{Addr: [4]byte{224, 0, 0, 1}, Port: 80}
	multicast6 := &unix.SockaddrInet6{Addr: [16]byte{0: 0xff, 1: 0x02, 15: 1}, Port: 81}
	for _, c := range []struct {
		network
		to unix.Sockaddr
	}{{ipv4(), multicast4}, {ipv6(), multicast6}} {
		fd := c.socket(0)
		t.list("connect", none(c.version), endpoint(c.to), unix.ENETUNREACH, fd, noFD)
		workload.Want("connect to many", unix.Connect(fd, c.to), unix.ENETUNREACH)
		t.badAddresses(c.network, fd)
		workload.CloseFD(fd)
	}
	t.taken(ipv4())
}

// badAddresses connects fd to invalid addresses.
func (t *thread) badAddresses(n network, fd int) {
	addr := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: 0x5000, Addr: [4]byte{127, 0, 0, 1}} // port 80
	dst := endpoint(&unix.SockaddrInet4{Addr: addr.Addr, Port: 80})
	for _, c := range []struct {
		family uint16
		size   uintptr
		dst    workload.Endpoint
		want   unix.Errno
	}{
		{unix.AF_INET, 1, dst, unix.EINVAL},
		{unix.AF_INET, 4, dst, unix.EINVAL},
		{99, unix.SizeofSockaddrInet6, none(n.version), unix.EAFNOSUPPORT},
	} {
		addr.Family = c.family
		t.list("connect", none(n.version), c.dst, c.want, fd, noFD)
		_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&addr)), c.size)
		workload.Want("connect to no address", errno, c.want)
	}
	t.list("connect", none(n.version), none(n.version), unix.EFAULT, fd, noFD)
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), 1, unix.SizeofSockaddrInet6)
	workload.Want("connect to a bad address", errno, unix.EFAULT)
}

// taken connects twice from the same address to the same.
func (t *thread) taken(n network) {
	n.withListener(2, func(l *listener) {
		a := reusable(n, 0)
		src := local(a)
		b := reusable(n, src.Port)
		defer unix.Close(b)
		c := t.connectFD(a, l)
		t.list("connect", src, endpoint(l.addr), unix.EADDRNOTAVAIL, b, noFD)
		workload.Want("connect from there, too", unix.Connect(b, l.addr), unix.EADDRNOTAVAIL)
		t.closeClient(c)
	})
}

// reusable returns a socket that shares its address with others.
func reusable(n network, port int) int {
	fd := n.socket(0)
	workload.Check("share an address", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
	workload.Check("bind", unix.Bind(fd, n.At(port)))
	return fd
}

// busy runs do with a listener that does not answer, since it has no room for another connection.
func (t *thread) busy(n network, do func(*listener)) {
	n.withListener(0, func(l *listener) {
		c := t.connect(n, l)
		workload.WaitForSocket(l.fd, unix.POLLIN)
		do(l)
		t.closeClient(c)
	})
}

// givenUp closes sockets before there is an answer, and connects them to nothing.
func givenUp(t *thread) {
	n := ipv4()
	t.busy(n, func(l *listener) {
		for _, giveUp := range []func(fd int){workload.CloseFD, disconnect} {
			fd, src := n.bound(unix.SOCK_NONBLOCK)
			t.list("connect", src, endpoint(l.addr), unix.ECONNABORTED, fd, noFD)
			workload.Want("connect", unix.Connect(fd, l.addr), unix.EINPROGRESS)
			workload.Want("connect again", unix.Connect(fd, l.addr), unix.EALREADY)
			giveUp(fd)
		}
	})
}

// disconnect connects to no address, which ends the connection, and closes.
func disconnect(fd int) {
	dissolve(fd)
	workload.CloseFD(fd)
}

// dissolve connects to no address, which ends the connection.
func dissolve(fd int) {
	nothing := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&nothing)), unix.SizeofSockaddrInet4)
	workload.Want("connect to nothing", errno, 0)
}

// unanswered waits until the kernel gives up.
func unanswered(t *thread) {
	n := ipv6()
	t.busy(n, func(l *listener) {
		fd, src := n.bound(0)
		defer unix.Close(fd)
		t.list("connect", src, endpoint(l.addr), unix.ETIMEDOUT, fd, noFD)
		workload.Check("try but twice", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT, 1))
		workload.Want("connect", unix.Connect(fd, l.addr), unix.ETIMEDOUT)
	})
}

// toItself connects a socket to its own address: both sides connect, and neither accepts.
func toItself(t *thread) {
	for _, n := range []network{ipv4(), ipv6()} {
		fd, src := n.bound(0)
		t.list("connect", src, src, 0, fd, noFD)
		t.list("close", src, src, 0, fd, noFD)
		workload.Check("connect to itself", unix.Connect(fd, n.At(src.Port)))
		workload.CloseFD(fd)
	}
}

// fastOpen connects by sending, if the administrator lets clients do so; it is the default.
func fastOpen(t *thread) {
	text, _ := os.ReadFile("/proc/sys/net/ipv4/tcp_fastopen")
	if flags, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || flags&1 == 0 {
		return
	}
	n := ipv4()
	n.withListener(1, func(l *listener) {
		fd := n.socket(0)
		workload.Check("connect and send", unix.Sendto(fd, []byte("hello"), unix.MSG_FASTOPEN, l.addr))
		c := t.connected(fd, l)
		t.accept(l, c)
		t.closeClient(c)
		t.closeServer(c)
	})
}

// inOwnNetwork connects in another network namespace.
func inOwnNetwork(t *thread) {
	t.netnsID = workload.Must(t.OwnNetwork())
	closings(t, ipv4())
}
