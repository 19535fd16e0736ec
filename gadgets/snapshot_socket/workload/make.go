// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// The addresses of the sockets; the kernel finds ports for them.
var (
	loopback4 = netip.MustParseAddrPort("127.0.0.1:0")
	other4    = netip.MustParseAddrPort("127.1.2.3:0")
	loopback6 = netip.MustParseAddrPort("[::1]:0")
	any6      = netip.MustParseAddrPort("[::]:0")
)

func (m *maker) makeAll() error {
	for _, at := range []netip.AddrPort{loopback4, other4, loopback6} {
		for _, step := range []func(netip.AddrPort) error{m.open, m.halfClosed, m.closed, m.refused, m.datagrams} {
			if err := step(at); err != nil {
				return err
			}
		}
	}
	return m.mapped()
}

// listen makes a socket that listens.
func (m *maker) listen(at netip.AddrPort, backlog int) (int, netip.AddrPort, error) {
	fd, err := socket(unix.SOCK_STREAM, at)
	if err != nil {
		return -1, at, err
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return -1, at, fmt.Errorf("listen: %w", err)
	}
	if at, err = local(fd); err != nil {
		return -1, at, err
	}
	return fd, at, m.add(fd, unix.SOCK_STREAM, "LISTEN", at, netip.AddrPort{})
}

// pair makes a connection and the socket that it was made to.
func (m *maker) pair(at netip.AddrPort) (client, server int, from, to netip.AddrPort, err error) {
	listener, to, err := m.listen(at, 1)
	if err != nil {
		return -1, -1, from, to, err
	}
	if client, err = connect(unix.SOCK_STREAM, at, to); err != nil {
		return -1, -1, from, to, err
	}
	if from, err = local(client); err != nil {
		return -1, -1, from, to, err
	}
	if server, _, err = unix.Accept4(listener, unix.SOCK_CLOEXEC); err != nil {
		return -1, -1, from, to, fmt.Errorf("accept: %w", err)
	}
	return client, server, from, to, nil
}

// open makes a connection that is open.
func (m *maker) open(at netip.AddrPort) error {
	client, server, from, to, err := m.pair(at)
	if err != nil {
		return err
	}
	return errors.Join(
		m.add(client, unix.SOCK_STREAM, "ESTABLISHED", from, to),
		m.add(server, unix.SOCK_STREAM, "ESTABLISHED", to, from),
	)
}

// halfClosed makes two connections that one side has closed: one holds on to its socket, the other
// has none any more.
func (m *maker) halfClosed(at netip.AddrPort) error {
	for _, keep := range []bool{true, false} {
		client, server, from, to, err := m.pair(at)
		if err != nil {
			return err
		}
		if err := unix.Shutdown(client, unix.SHUT_WR); err != nil {
			return fmt.Errorf("shut down: %w", err)
		}
		if err := waitFor(client, finWait2); err != nil {
			return err
		}
		if !keep {
			unix.Close(client)
			client = -1
		}
		if err := errors.Join(
			m.add(client, unix.SOCK_STREAM, "FIN_WAIT2", from, to),
			m.add(server, unix.SOCK_STREAM, "CLOSE_WAIT", to, from),
		); err != nil {
			return err
		}
	}
	return nil
}

// closed makes a connection that both sides have closed. The one that was first has to wait.
func (m *maker) closed(at netip.AddrPort) error {
	client, server, from, to, err := m.pair(at)
	if err != nil {
		return err
	}
	if err := unix.Shutdown(client, unix.SHUT_WR); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	if err := waitFor(client, finWait2); err != nil {
		return err
	}
	unix.Close(server)
	unix.Close(client)
	return m.add(-1, unix.SOCK_STREAM, "TIME_WAIT", from, to)
}

// refused makes connections to one that accepts none, until there is no answer.
func (m *maker) refused(at netip.AddrPort) error {
	_, to, err := m.listen(at, 0)
	if err != nil {
		return err
	}
	for range 4 {
		client, err := connect(unix.SOCK_STREAM|unix.SOCK_NONBLOCK, at, to)
		if err != nil {
			return err
		}
		from, err := local(client)
		if err != nil {
			return err
		}
		if waitFor(client, established) != nil {
			return m.add(client, unix.SOCK_STREAM, "SYN_SENT", from, to)
		}
		if err := errors.Join(
			m.add(client, unix.SOCK_STREAM, "ESTABLISHED", from, to),
			m.add(-1, unix.SOCK_STREAM, "ESTABLISHED", to, from), // nobody has accepted it
		); err != nil {
			return err
		}
	}
	return errors.New("each connection to a socket with no backlog was accepted")
}

// datagrams makes UDP sockets, one of them connected.
func (m *maker) datagrams(at netip.AddrPort) error {
	alone, err := socket(unix.SOCK_DGRAM, at)
	if err != nil {
		return err
	}
	to, err := local(alone)
	if err != nil {
		return err
	}
	client, err := connect(unix.SOCK_DGRAM, at, to)
	if err != nil {
		return err
	}
	from, err := local(client)
	if err != nil {
		return err
	}
	return errors.Join(
		m.add(alone, unix.SOCK_DGRAM, "CLOSE", to, netip.AddrPort{}),
		m.add(client, unix.SOCK_DGRAM, "ESTABLISHED", from, to),
	)
}

// mapped makes an IPv4 connection to an IPv6 socket.
func (m *maker) mapped() error {
	listener, all, err := m.listen(any6, 1)
	if err != nil {
		return err
	}
	to := netip.AddrPortFrom(loopback4.Addr(), all.Port())
	client, err := connect(unix.SOCK_STREAM, loopback4, to)
	if err != nil {
		return err
	}
	from, err := local(client)
	if err != nil {
		return err
	}
	server, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	return errors.Join(
		m.add(client, unix.SOCK_STREAM, "ESTABLISHED", from, to),
		m.add(server, unix.SOCK_STREAM, "ESTABLISHED", as6(to), as6(from)),
	)
}

func as6(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
}

// waitFor waits until a connection has the state.
func waitFor(fd int, want uint8) error {
	var now uint8
	for range 100 {
		var err error
		if now, err = state(fd); err != nil || now == want {
			return err
		}
		time.Sleep(2 * time.Millisecond)
	}
	return fmt.Errorf("the state of a connection is %d, want %d", now, want)
}
