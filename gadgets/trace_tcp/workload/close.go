// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// closings ends connections in all ways in which one thread can.
func closings(t *thread, n network) error {
	for _, end := range []func(*connection) error{
		func(c *connection) error { // one, then the other
			return inTurn(
				func() error { return t.closeClient(c) },
				func() error { return t.closeServer(c) },
			)
		},
		func(c *connection) error { // the other side first, and unread data
			return inTurn(
				func() error { return send(c.client) },
				func() error { return wait(c.server, unix.POLLIN) },
				func() error { return t.closeServer(c) },
				func() error { return t.closeClient(c) },
			)
		},
		func(c *connection) error { // with a reset
			return inTurn(
				func() error { return abortive(c.client) },
				func() error { return t.closeClient(c) },
				func() error { return t.closeServer(c) },
			)
		},
		func(c *connection) error { // one direction, then the other, then both closed
			return inTurn(
				func() error { return unix.Shutdown(c.client, unix.SHUT_WR) },
				func() error { return wait(c.server, unix.POLLIN) },
				func() error { return t.closeServer(c) },
				func() error { return wait(c.client, unix.POLLHUP) },
				func() error { return t.closeClient(c) },
			)
		},
		func(c *connection) error { // one direction, then closed
			return inTurn(
				func() error { return unix.Shutdown(c.client, unix.SHUT_WR) },
				func() error { return waitUntilEndIsKnown(c.client) },
				func() error { return t.closeClient(c) },
				func() error { return t.closeServer(c) },
			)
		},
		func(c *connection) error { // what is received is of no interest, then both
			return inTurn(
				func() error { return unix.Shutdown(c.client, unix.SHUT_RD) },
				func() error { return t.closeClient(c) },
				func() error { return t.closeServer(c) },
			)
		},
		t.shutDown,
		t.closeDuplicate,
		t.dissolveWhole,
		t.dissolveHalf,
		t.dissolveEnded,
	} {
		if err := t.withPair(n, end); err != nil {
			return err
		}
	}
	return t.connectAnew(n)
}

// dissolveWhole connects one end to nothing, which is the end of the connection. The socket forgets what
// it was connected to; closing it is nothing new.
func (t *thread) dissolveWhole(c *connection) error {
	t.list("close", c.clientEnd, c.peerEnd, 0, c.client, noFD)
	return inTurn(
		func() error { return disconnect(c.client) },
		func() error { return wait(c.server, unix.POLLHUP) },
		func() error { return t.closeServer(c) },
	)
}

// dissolveHalf does the same to a connection of which one direction has ended.
func (t *thread) dissolveHalf(c *connection) error {
	t.list("close", c.clientEnd, c.peerEnd, 0, c.client, noFD)
	return inTurn(
		func() error { return unix.Shutdown(c.client, unix.SHUT_WR) },
		func() error { return waitUntilEndIsKnown(c.client) },
		func() error { return disconnect(c.client) },
		func() error { return t.closeServer(c) },
	)
}

// dissolveEnded does the same to one that has ended: it is closed with the socket.
func (t *thread) dissolveEnded(c *connection) error {
	return inTurn(
		func() error { return abortive(c.server) },
		func() error { return t.closeServer(c) },
		func() error { return wait(c.client, unix.POLLHUP) },
		func() error { return dissolve(c.client) },
		func() error { return t.closeClient(c) },
	)
}

// connectAnew uses a socket for a second connection: only then the first, which the other side has ended,
// is closed.
func (t *thread) connectAnew(n network) error {
	return n.withListener(1, func(l *listener) error {
		c, err := t.pair(n, l)
		if err != nil {
			return err
		}
		if err := inTurn(
			func() error { return abortive(c.server) },
			func() error { return t.closeServer(&c) },
			func() error { return wait(c.client, unix.POLLHUP) },
			func() error { return dissolve(c.client) },
		); err != nil {
			return err
		}
		t.list("close", c.clientEnd, c.peerEnd, 0, c.client, noFD)
		if c, err = t.connectFD(c.client, l); err != nil {
			return err
		}
		return inTurn(
			func() error { return t.accept(l, &c) },
			func() error { return t.closeClient(&c) },
			func() error { return t.closeServer(&c) },
		)
	})
}

// waitUntilEndIsKnown waits for the other side to say that it has got the end of what is sent, which
// it may put off for a while.
func waitUntilEndIsKnown(fd int) error {
	const finWait2 = 5
	for range 1000 {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || info.State == finWait2 {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("the end of what was sent is not acknowledged")
}

func send(fd int) error {
	_, err := unix.Write(fd, []byte("hello"))
	return err
}

// abortive makes closing the socket a reset.
func abortive(fd int) error {
	return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// shutDown ends both directions, which is the end of the connection; closing it then is nothing new.
func (t *thread) shutDown(c *connection) error {
	t.list("close", c.clientEnd, c.peerEnd, 0, c.client, noFD)
	return inTurn(
		func() error { return unix.Shutdown(c.client, unix.SHUT_RDWR) },
		func() error { return unix.Close(c.client) },
		func() error { return wait(c.server, unix.POLLIN) },
		func() error { return unix.Shutdown(c.server, unix.SHUT_WR) }, // the second direction to end
		func() error {
			t.list("close", c.peerEnd, c.clientEnd, 0, c.server, noFD)
			return unix.Close(c.server)
		},
	)
}

// closeDuplicate closes a socket that has two descriptors.
func (t *thread) closeDuplicate(c *connection) error {
	fd, err := unix.Dup(c.client)
	if err != nil {
		return err
	}
	if err := unix.Close(c.client); err != nil {
		return err
	}
	c.client = fd
	return inTurn(
		func() error { return t.closeClient(c) },
		func() error { return t.closeServer(c) },
	)
}

// byExit leaves the closing to the kernel: a process exits that has one end, or is killed.
func byExit(t *thread) error {
	for _, kill := range []bool{false, true} {
		err := t.withPair(ipv4(), func(c *connection) error { return t.exitWith(c, kill) })
		if err != nil {
			return err
		}
	}
	return nil
}

// exitWith hands the client's end to a process of one thread, which then ends.
func (t *thread) exitWith(c *connection, kill bool) error {
	heir, err := t.startHeir(c.client)
	if err != nil {
		return err
	}
	if err := unix.Close(c.client); err != nil {
		return err
	}
	if err := heir.end(kill); err != nil {
		return err
	}
	t.list("close", c.clientEnd, c.peerEnd, 0, noFD, noFD)
	t.Events[len(t.Events)-1].Proc = t.Proc.Child("cat", heir.pid)
	return t.closeServer(c)
}

// heir is a process that has inherited a socket.
type heir struct {
	cmd *exec.Cmd
	pid int
	end func(kill bool) error
}

func (t *thread) startHeir(fd int) (*heir, error) {
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	file, err := duplicate(fd)
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process: %w", err)
	}
	end := func(kill bool) error {
		if kill {
			unix.Kill(cmd.Process.Pid, unix.SIGKILL)
			cmd.Wait() // says that it was killed
			return nil
		}
		stdin.Close()
		return cmd.Wait()
	}
	return &heir{cmd: cmd, pid: cmd.Process.Pid, end: end}, file.Close()
}

// orphan closes a socket that still has data to send, which is after its end was announced. What
// there is of it goes when the other end does, which cannot receive all.
func orphan(t *thread) error {
	return t.withPair(ipv4(), func(c *connection) error {
		if err := fill(c.client); err != nil {
			return err
		}
		if err := inTurn(
			func() error { return unix.Shutdown(c.client, unix.SHUT_WR) },
			func() error { return unix.Close(c.client) },
			func() error { return t.closeServer(c) },
		); err != nil {
			return err
		}
		t.list("close", c.clientEnd, c.peerEnd, 0, c.client, noFD)
		return nil
	})
}

// fill sends until nothing more fits.
func fill(fd int) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	data := make([]byte, 1<<16)
	for {
		switch _, err := unix.Write(fd, data); err {
		case nil:
		case unix.EAGAIN:
			return nil
		default:
			return err
		}
	}
}
