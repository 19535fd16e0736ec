// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package grpcclient

import (
	"context"
	"errors"
	"net"
	"sync"
)

// Conns are the connections of an [http.Transport], whose DialContext they have. A transport itself does not close a connection that seems to be in
// use, such as one with HTTP/2 through which nothing comes any more.
type Conns struct {
	// Dial connects.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex
	open   map[*trackedConn]struct{}
	lost   chan struct{} // closed when a connection is lost, and then replaced
	closed bool
}

// trackedConn tells when it is closed. Conns and the transport may both close it, at the same time: the transport
// does so after the server has closed it, or after the last call.
type trackedConn struct {
	net.Conn
	close func() error // closes Conn the first time, and returns the same result each time
}

// Close implements net.Conn.
func (c *trackedConn) Close() error { return c.close() }

// DialContext connects, unless Close was called.
func (c *Conns) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	tracked := &trackedConn{Conn: conn}
	tracked.close = sync.OnceValue(func() error {
		c.forget(tracked)
		return conn.Close()
	})
	if c.open == nil {
		c.open = make(map[*trackedConn]struct{})
	}
	c.open[tracked] = struct{}{}
	return tracked, nil
}

func (c *Conns) forget(conn *trackedConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
	if c.lost != nil {
		close(c.lost)
		c.lost = nil
	}
}

// lostOne returns a channel that is closed when a connection is lost.
func (c *Conns) lostOne() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost == nil {
		c.lost = make(chan struct{})
	}
	return c.lost
}

// Disconnect closes all connections.
func (c *Conns) Disconnect() error {
	c.mu.Lock()
	conns := make([]*trackedConn, 0, len(c.open))
	for conn := range c.open {
		conns = append(conns, conn)
	}
	c.mu.Unlock()
	var err error
	for _, conn := range conns {
		err = errors.Join(err, conn.Close())
	}
	return err
}

// Close closes all connections, and there are no new ones from now on.
func (c *Conns) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	return c.Disconnect()
}
