// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// refusals connects to where nobody listens, twice with one socket.
func refusals(t *thread, n network) error {
	from, err := n.closedPort()
	if err != nil {
		return err
	}
	to, err := n.closedPort()
	if err != nil {
		return err
	}
	fd, err := n.socket(0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, from); err != nil { // to a port that stays when the call fails
		return fmt.Errorf("bind: %w", err)
	}
	for range 2 {
		t.list("connect", endpoint(from), endpoint(to), unix.ECONNREFUSED, fd, noFD)
		if err := mustBe("connect", unix.Connect(fd, to), unix.ECONNREFUSED); err != nil {
			return err
		}
	}
	return nil
}

// nonBlocking connects with sockets that do not wait. That the first call returns before there is a
// result is no failure, and that a later one returns that result no event.
func nonBlocking(t *thread, n network) error {
	return n.withListener(1, func(l *listener) error {
		fd, err := n.socket(unix.SOCK_NONBLOCK)
		if err != nil {
			return err
		}
		if err := inTurn(
			func() error { return mustBe("connect", unix.Connect(fd, l.addr), unix.EINPROGRESS) },
			func() error { return wait(fd, unix.POLLOUT) },
			func() error { return mustBe("ask for the result", unix.Connect(fd, l.addr), 0) },
			func() error { return mustBe("connect again", unix.Connect(fd, l.addr), unix.EISCONN) },
		); err != nil {
			return err
		}
		c, err := t.connected(fd, l)
		if err != nil {
			return err
		}
		return inTurn(
			func() error { return t.closeClient(&c) },
			func() error { return t.refusedLater(n, unix.Connect) },
			func() error { return t.refusedLater(n, readError) },
		)
	})
}

// refusedLater does not wait for the refusal but asks for it, in one of several ways.
func (t *thread) refusedLater(n network, ask func(fd int, to unix.Sockaddr) error) error {
	to, err := n.closedPort()
	if err != nil {
		return err
	}
	fd, src, err := n.bound(unix.SOCK_NONBLOCK)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	t.list("connect", src, endpoint(to), unix.ECONNREFUSED, fd, noFD)
	return inTurn(
		func() error { return mustBe("connect", unix.Connect(fd, to), unix.EINPROGRESS) },
		func() error { return wait(fd, unix.POLLOUT) },
		func() error { return mustBe("ask for the result", ask(fd, to), unix.ECONNREFUSED) },
	)
}

func readError(fd int, _ unix.Sockaddr) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	return unix.Errno(n)
}

// failures are calls that send nothing.
func failures(t *thread) error {
	multicast4 := &unix.SockaddrInet4{Addr: [4]byte{224, 0, 0, 1}, Port: 80}
	multicast6 := &unix.SockaddrInet6{Addr: [16]byte{0: 0xff, 1: 0x02, 15: 1}, Port: 81}
	for _, c := range []struct {
		network
		to unix.Sockaddr
	}{{ipv4(), multicast4}, {ipv6(), multicast6}} {
		fd, err := c.socket(0)
		if err != nil {
			return err
		}
		t.list("connect", none(c.version()), endpoint(c.to), unix.ENETUNREACH, fd, noFD)
		err = mustBe("connect to many", unix.Connect(fd, c.to), unix.ENETUNREACH)
		if err := inTurn(func() error { return err }, func() error { return t.badAddresses(c.network, fd) }); err != nil {
			return err
		}
		unix.Close(fd)
	}
	return t.taken(ipv4())
}

// badAddresses connects fd to what is no address.
func (t *thread) badAddresses(n network, fd int) error {
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
		{99, unix.SizeofSockaddrInet6, none(n.version()), unix.EAFNOSUPPORT},
	} {
		addr.Family = c.family
		t.list("connect", none(n.version()), c.dst, c.want, fd, noFD)
		_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&addr)), c.size)
		if errno != c.want {
			return fmt.Errorf("connect to family %d of %d bytes: got %v, want %v", c.family, c.size, errno, c.want)
		}
	}
	t.list("connect", none(n.version()), none(n.version()), unix.EFAULT, fd, noFD)
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), 1, unix.SizeofSockaddrInet6)
	return mustBe("connect to a bad address", errno, unix.EFAULT)
}

// taken connects twice from the same address to the same.
func (t *thread) taken(n network) error {
	return n.withListener(2, func(l *listener) error {
		a, err := reusable(n, 0)
		if err != nil {
			return err
		}
		src, err := local(a)
		if err != nil {
			return err
		}
		b, err := reusable(n, src.Port)
		if err != nil {
			return err
		}
		defer unix.Close(b)
		c, err := t.connectFD(a, l)
		if err != nil {
			return err
		}
		t.list("connect", src, endpoint(l.addr), unix.EADDRNOTAVAIL, b, noFD)
		return inTurn(
			func() error { return mustBe("connect from there, too", unix.Connect(b, l.addr), unix.EADDRNOTAVAIL) },
			func() error { return t.closeClient(&c) },
		)
	})
}

// reusable returns a socket that shares its address with others.
func reusable(n network, port int) (int, error) {
	fd, err := n.socket(0)
	if err != nil {
		return noFD, err
	}
	return fd, inTurn(
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) },
		func() error { return unix.Bind(fd, n.at(port)) },
	)
}

// busy runs do with a listener that does not answer, since it has no room for another connection.
func (t *thread) busy(n network, do func(*listener) error) error {
	return n.withListener(0, func(l *listener) error {
		c, err := t.connect(n, l)
		if err != nil {
			return err
		}
		return inTurn(
			func() error { return wait(l.fd, unix.POLLIN) },
			func() error { return do(l) },
			func() error { return t.closeClient(&c) },
		)
	})
}

// givenUp closes sockets before there is an answer, and connects them to nothing.
func givenUp(t *thread) error {
	n := ipv4()
	return t.busy(n, func(l *listener) error {
		for _, giveUp := range []func(fd int) error{unix.Close, disconnect} {
			fd, src, err := n.bound(unix.SOCK_NONBLOCK)
			if err != nil {
				return err
			}
			t.list("connect", src, endpoint(l.addr), unix.ECONNABORTED, fd, noFD)
			if err := inTurn(
				func() error { return mustBe("connect", unix.Connect(fd, l.addr), unix.EINPROGRESS) },
				func() error { return mustBe("connect again", unix.Connect(fd, l.addr), unix.EALREADY) },
				func() error { return giveUp(fd) },
			); err != nil {
				return err
			}
		}
		return nil
	})
}

// disconnect connects to nothing, which ends what there is, and closes.
func disconnect(fd int) error {
	if err := dissolve(fd); err != nil {
		return err
	}
	return unix.Close(fd)
}

// dissolve connects to nothing, which ends what there is.
func dissolve(fd int) error {
	nothing := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&nothing)), unix.SizeofSockaddrInet4)
	return mustBe("connect to nothing", errno, 0)
}

// unanswered waits until the kernel gives up.
func unanswered(t *thread) error {
	n := ipv6()
	return t.busy(n, func(l *listener) error {
		fd, src, err := n.bound(0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		t.list("connect", src, endpoint(l.addr), unix.ETIMEDOUT, fd, noFD)
		return inTurn(
			func() error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT, 1) },
			func() error { return mustBe("connect", unix.Connect(fd, l.addr), unix.ETIMEDOUT) },
		)
	})
}

// toItself connects a socket to its own address: both sides connect, and nobody accepts.
func toItself(t *thread) error {
	for _, n := range []network{ipv4(), ipv6()} {
		fd, src, err := n.bound(0)
		if err != nil {
			return err
		}
		t.list("connect", src, src, 0, fd, noFD)
		t.list("close", src, src, 0, fd, noFD)
		if err := inTurn(
			func() error { return mustBe("connect to itself", unix.Connect(fd, n.at(src.Port)), 0) },
			func() error { return unix.Close(fd) },
		); err != nil {
			return err
		}
	}
	return nil
}

// fastOpen connects by sending.
func fastOpen(t *thread) error {
	if !sendsFirst() {
		return nil
	}
	n := ipv4()
	return n.withListener(1, func(l *listener) error {
		fd, err := n.socket(0)
		if err != nil {
			return err
		}
		if err := mustBe("connect and send", unix.Sendto(fd, []byte("hello"), unix.MSG_FASTOPEN, l.addr), 0); err != nil {
			return err
		}
		c, err := t.connected(fd, l)
		if err != nil {
			return err
		}
		return inTurn(
			func() error { return t.accept(l, &c) },
			func() error { return t.closeClient(&c) },
			func() error { return t.closeServer(&c) },
		)
	})
}

// sendsFirst reports whether the administrator lets clients do so; it is the default.
func sendsFirst() bool {
	text, err := os.ReadFile("/proc/sys/net/ipv4/tcp_fastopen")
	if err != nil {
		return false
	}
	flags, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return err == nil && flags&1 != 0
}

// inOwnNetwork connects in another network namespace.
func inOwnNetwork(t *thread) error {
	var err error
	if t.netnsID, err = t.OwnNetwork(); err != nil {
		return err
	}
	return closings(t, ipv4())
}
