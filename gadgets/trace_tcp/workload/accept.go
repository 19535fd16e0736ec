// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// accepts accepts in other ways, and fails to.
func accepts(t *thread) error {
	n := ipv4()
	fd, src, err := n.bound(0)
	if err != nil {
		return err
	}
	t.list("accept", src, none(4), unix.EINVAL, fd, noFD)
	_, _, err = unix.Accept4(fd, 0) // it does not listen
	return inTurn(
		func() error { return mustBe("accept without listening", err, unix.EINVAL) },
		func() error { return unix.Close(fd) },
		func() error { return n.withListener(2, func(l *listener) error { return t.acceptLate(n, l) }) },
		func() error { return n.withListener(2, func(l *listener) error { return leaveUnaccepted(t, n, l) }) },
	)
}

// acceptLate accepts what was reset meanwhile, with the older call, and then nothing.
func (t *thread) acceptLate(n network, l *listener) error {
	c, err := t.connect(n, l)
	if err != nil {
		return err
	}
	if err := inTurn(
		func() error { return wait(l.fd, unix.POLLIN) },
		func() error { return abortive(c.client) },
		func() error { return t.closeClient(&c) },
	); err != nil {
		return err
	}
	if err := t.acceptOld(l, &c); err != nil {
		return err
	}
	if err := t.closeServer(&c); err != nil {
		return err
	}
	if err := unix.SetNonblock(l.fd, true); err != nil {
		return err
	}
	_, _, err = unix.Accept4(l.fd, 0)
	return mustBe("accept nothing", err, unix.EAGAIN)
}

// leaveUnaccepted closes a listener that has connections waiting, of which nobody ever knows.
func leaveUnaccepted(t *thread, n network, l *listener) error {
	for range 2 {
		c, err := t.connect(n, l)
		if err != nil {
			return err
		}
		if err := t.closeClient(&c); err != nil {
			return err
		}
	}
	return nil
}

// acrossThreads accepts in one thread what another connects, and closes in a third.
func acrossThreads(t *thread) error {
	n := ipv6()
	return n.withListener(1, func(l *listener) error {
		var c connection
		accepted := make(chan error)
		go func() {
			more, err := onThread("tcp-acceptor", func(other *thread) error {
				_, _, err := unix.Accept4(l.fd, unix.MSG_OOB) // a bad flag, by which this thread is there
				if err := mustBe("accept with a bad flag", err, unix.EINVAL); err != nil {
					return err
				}
				other.list("accept", endpoint(l.addr), none(6), unix.EINVAL, l.fd, noFD)
				accepted <- nil
				fd, from, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC)
				c.server, c.clientEnd = fd, endpoint(from)
				other.list("accept", endpoint(l.addr), c.clientEnd, 0, l.fd, fd)
				return mustBe("accept", err, 0)
			})()
			t.Events = append(t.Events, more...)
			accepted <- err
		}()
		if err := <-accepted; err != nil {
			return err
		}
		fd, err := n.socket(0)
		if err != nil {
			return err
		}
		if err := errors.Join(unix.Connect(fd, l.addr), <-accepted); err != nil {
			return fmt.Errorf("connect to another thread: %w", err)
		}
		c.client, c.peerEnd = fd, endpoint(l.addr)
		t.list("connect", c.clientEnd, c.peerEnd, 0, fd, noFD)
		more, err := onThread("tcp-closer", func(other *thread) error {
			return inTurn(
				func() error { return other.closeServer(&c) },
				func() error { return other.closeClient(&c) },
			)
		})()
		t.Events = append(t.Events, more...)
		return err
	})
}

// withoutDescriptors accepts while no descriptor is left. Nobody else of the process may run then.
func withoutDescriptors(t *thread) error {
	n := ipv4()
	return n.withListener(1, func(l *listener) error {
		c, err := t.connect(n, l)
		if err != nil {
			return err
		}
		var limit, nothing unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		nothing.Max = limit.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &nothing); err != nil {
			return err
		}
		t.list("accept", endpoint(l.addr), none(4), unix.EMFILE, l.fd, noFD)
		_, _, err = unix.Accept4(l.fd, 0)
		return inTurn(
			func() error { return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) },
			func() error { return mustBe("accept without a descriptor", err, unix.EMFILE) },
			func() error { return t.closeClient(&c) },
		)
	})
}

// noTCP does the same with other sockets, and with what is no socket.
func noTCP(*thread) error {
	udp, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(udp)
	local, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(local)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, _, notSocket := unix.Accept4(0, 0)
	_, _, notOpen := unix.Accept4(1<<20, 0)
	_, _, notListening := unix.Accept4(local, 0)
	return inTurn(
		func() error { return unix.Connect(udp, ipv4().at(9)) },
		func() error { return unix.Close(pair[0]) },
		func() error { return unix.Close(pair[1]) },
		func() error {
			return mustBe("connect to no path", unix.Connect(local, &unix.SockaddrUnix{Name: "missing"}), unix.ENOENT)
		},
		func() error { return mustBe("connect standard input", unix.Connect(0, ipv4().at(9)), unix.ENOTSOCK) },
		func() error { return mustBe("accept from standard input", notSocket, unix.ENOTSOCK) },
		func() error { return mustBe("accept from nothing", notOpen, unix.EBADF) },
		func() error { return mustBe("accept without listening", notListening, unix.EINVAL) },
	)
}

// acceptOld is accept with the call that has no flags.
func (t *thread) acceptOld(l *listener, c *connection) error {
	fd, _, errno := unix.Syscall(unix.SYS_ACCEPT, uintptr(l.fd), 0, 0)
	if errno != 0 {
		return fmt.Errorf("accept: %w", errno)
	}
	c.server = int(fd)
	t.list("accept", c.peerEnd, c.clientEnd, 0, l.fd, c.server)
	return nil
}
