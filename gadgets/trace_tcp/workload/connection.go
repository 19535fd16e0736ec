// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// connection is one with both of its ends in this process.
type connection struct {
	client, server     int
	clientEnd, peerEnd workload.Endpoint // the peer's as the client sees it, and the other way around
}

// connect connects and lists it. The caller closes the socket.
func (t *thread) connect(n network, l *listener) (connection, error) {
	fd, err := n.socket(0)
	if err != nil {
		return connection{}, err
	}
	return t.connectFD(fd, l)
}

func (t *thread) connectFD(fd int, l *listener) (connection, error) {
	if err := mustBe("connect", unix.Connect(fd, l.addr), 0); err != nil {
		return connection{}, err
	}
	return t.connected(fd, l)
}

// connected lists that a socket got connected.
func (t *thread) connected(fd int, l *listener) (connection, error) {
	src, err := local(fd)
	if err != nil {
		return connection{}, err
	}
	c := connection{client: fd, server: noFD, clientEnd: src, peerEnd: endpoint(l.addr)}
	t.list("connect", c.clientEnd, c.peerEnd, 0, fd, noFD)
	return c, nil
}

// accept accepts the connection and lists it. The caller closes the socket.
func (t *thread) accept(l *listener, c *connection) error {
	fd, _, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC)
	if err := mustBe("accept", err, 0); err != nil {
		return err
	}
	c.server = fd
	t.list("accept", c.peerEnd, c.clientEnd, 0, l.fd, fd)
	return nil
}

// pair makes a connection, and lists both.
func (t *thread) pair(n network, l *listener) (connection, error) {
	c, err := t.connect(n, l)
	if err == nil {
		err = t.accept(l, &c)
	}
	return c, err
}

// closeClient closes the client's socket and lists it.
func (t *thread) closeClient(c *connection) error {
	err := unix.Close(c.client)
	t.list("close", c.clientEnd, c.peerEnd, 0, c.client, noFD)
	return mustBe("close", err, 0)
}

// closeServer closes the other one.
func (t *thread) closeServer(c *connection) error {
	err := unix.Close(c.server)
	t.list("close", c.peerEnd, c.clientEnd, 0, c.server, noFD)
	return mustBe("close", err, 0)
}

// withListener runs do with a listener, which it closes.
func (n network) withListener(backlog int, do func(*listener) error) error {
	l, err := n.newListener(backlog)
	if err != nil {
		return err
	}
	if err := do(l); err != nil {
		return err
	}
	return mustBe("close the listener", unix.Close(l.fd), 0)
}

// withPair runs do with a connection.
func (t *thread) withPair(n network, do func(*connection) error) error {
	return n.withListener(1, func(l *listener) error {
		c, err := t.pair(n, l)
		if err != nil {
			return err
		}
		return do(&c)
	})
}

// inTurn runs functions until one fails.
func inTurn(do ...func() error) error {
	for _, f := range do {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}
