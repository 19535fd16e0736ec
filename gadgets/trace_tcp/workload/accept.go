// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// acceptError accepts where there is nothing to accept.
func acceptError(fd, flags int) error {
	_, _, err := unix.Accept4(fd, flags)
	return err
}

// accepts accepts in other ways, and fails to.
func accepts(t *thread) {
	n := ipv4()
	fd, src := n.bound(0)
	t.list("accept", src, none(4), unix.EINVAL, fd, noFD)
	workload.Want("accept without listening", acceptError(fd, 0), unix.EINVAL)
	workload.CloseFD(fd)
	n.withListener(2, func(l *listener) { t.acceptLate(n, l) })
	n.withListener(2, func(l *listener) { leaveUnaccepted(t, n, l) })
}

// acceptLate accepts a connection that was reset meanwhile, with the older call, and then tries with an empty queue.
func (t *thread) acceptLate(n network, l *listener) {
	c := t.connect(n, l)
	workload.WaitForSocket(l.fd, unix.POLLIN)
	abortive(c.client)
	t.closeClient(c)
	fd, _, errno := unix.Syscall(unix.SYS_ACCEPT, uintptr(l.fd), 0, 0)
	workload.Want("accept", errno, 0)
	t.accepted(int(fd), l, c)
	t.closeServer(c)
	workload.Check("do not wait", unix.SetNonblock(l.fd, true))
	workload.Want("accept nothing", acceptError(l.fd, 0), unix.EAGAIN)
}

// leaveUnaccepted closes a listener with waiting connections, which no process ever gets.
func leaveUnaccepted(t *thread, n network, l *listener) {
	for range 2 {
		t.closeClient(t.connect(n, l))
	}
}

// acrossThreads connects in one thread, accepts in another, and closes in a third.
func acrossThreads(t *thread) {
	n := ipv6()
	n.withListener(1, func(l *listener) {
		var c connection
		accepted := make(chan error)
		go func() {
			more, err := onThread("tcp-acceptor", func(other *thread) {
				err := acceptError(l.fd, unix.MSG_OOB) // a bad flag, by which this thread is there
				workload.Want("accept with a bad flag", err, unix.EINVAL)
				other.list("accept", endpoint(l.addr), none(6), unix.EINVAL, l.fd, noFD)
				accepted <- nil
				fd, from, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC)
				workload.Check("accept", err)
				c.clientEnd, c.peerEnd = endpoint(from), endpoint(l.addr)
				other.accepted(fd, l, &c)
			})()
			t.Events = append(t.Events, more...)
			accepted <- err
		}()
		workload.Check("start to accept", <-accepted)
		fd := n.socket(0)
		workload.Check("connect to another thread", unix.Connect(fd, l.addr))
		workload.Check("accept in another thread", <-accepted)
		c.client = fd
		t.list("connect", c.clientEnd, c.peerEnd, 0, fd, noFD)
		more := workload.Must(onThread("tcp-closer", func(other *thread) {
			other.closeServer(&c)
			other.closeClient(&c)
		})())
		t.Events = append(t.Events, more...)
	})
}

// withoutDescriptors accepts while no descriptor is left. No other thread of the process may run then.
func withoutDescriptors(t *thread) {
	n := ipv4()
	n.withListener(1, func(l *listener) {
		c := t.connect(n, l)
		var limit unix.Rlimit
		workload.Check("find the limit", unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
		workload.Check("leave no descriptor", unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Max: limit.Max}))
		t.list("accept", endpoint(l.addr), none(4), unix.EMFILE, l.fd, noFD)
		err := acceptError(l.fd, 0)
		workload.Check("restore the limit", unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
		workload.Want("accept without a descriptor", err, unix.EMFILE)
		t.closeClient(c)
	})
}

// noTCP does the same with other sockets, and with files that are not sockets.
func noTCP(*thread) {
	udp := workload.Must(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0))
	defer unix.Close(udp)
	local := workload.Must(unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	defer unix.Close(local)
	pair := workload.Must(unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	workload.Check("connect without a connection", unix.Connect(udp, ipv4().At(9)))
	workload.CloseFD(pair[0])
	workload.CloseFD(pair[1])
	workload.Want("connect to no path", unix.Connect(local, &unix.SockaddrUnix{Name: "missing"}), unix.ENOENT)
	workload.Want("connect standard input", unix.Connect(0, ipv4().At(9)), unix.ENOTSOCK)
	workload.Want("accept from standard input", acceptError(0, 0), unix.ENOTSOCK)
	workload.Want("accept from nothing", acceptError(1<<20, 0), unix.EBADF)
	workload.Want("accept without listening", acceptError(local, 0), unix.EINVAL)
}
