// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// closings ends connections in all ways that one thread can.
func closings(t *thread, n network) {
	for _, end := range []func(*connection){
		func(c *connection) { // one end, then the other
			t.closeClient(c)
			t.closeServer(c)
		},
		func(c *connection) { // the other side first, and unread data
			workload.Must(unix.Write(c.client, []byte("hello")))
			workload.WaitForSocket(c.server, unix.POLLIN)
			t.closeServer(c)
			t.closeClient(c)
		},
		func(c *connection) { // with a reset
			abortive(c.client)
			t.closeClient(c)
			t.closeServer(c)
		},
		func(c *connection) { // one direction, then the other, then both closed
			shut(c.client, unix.SHUT_WR)
			workload.WaitForSocket(c.server, unix.POLLIN)
			t.closeServer(c)
			workload.WaitForSocket(c.client, unix.POLLHUP)
			t.closeClient(c)
		},
		func(c *connection) { // one direction, then closed
			shut(c.client, unix.SHUT_WR)
			waitUntilEndIsKnown(c.client)
			t.closeClient(c)
			t.closeServer(c)
		},
		func(c *connection) { // the receiving direction, then both
			shut(c.client, unix.SHUT_RD)
			t.closeClient(c)
			t.closeServer(c)
		},
		t.shutDown,
		t.closeDuplicate,
		t.dissolveWhole,
		t.dissolveHalf,
		t.dissolveEnded,
		t.silently,
	} {
		t.withPair(n, end)
	}
	t.connectAnew(n)
}

// dissolveWhole connects one end to no address, which ends the connection. The socket forgets its
// peer; closing it causes no further event.
func (t *thread) dissolveWhole(c *connection) {
	t.list("close", c.clientEnd, c.peerEnd, 0, c.client, noFD)
	disconnect(c.client)
	workload.WaitForSocket(c.server, unix.POLLHUP)
	t.closeServer(c)
}

// dissolveHalf does the same to a connection that is shut down in one direction.
func (t *thread) dissolveHalf(c *connection) {
	t.list("close", c.clientEnd, c.peerEnd, 0, c.client, noFD)
	shut(c.client, unix.SHUT_WR)
	waitUntilEndIsKnown(c.client)
	disconnect(c.client)
	t.closeServer(c)
}

// dissolveEnded does the same to a connection that has ended: its close comes with that of the socket.
func (t *thread) dissolveEnded(c *connection) {
	t.resetByServer(c)
	dissolve(c.client)
	t.closeClient(c)
}

// connectAnew uses a socket for a second connection: only then the first, which the other side has ended,
// is closed.
func (t *thread) connectAnew(n network) {
	n.withListener(1, func(l *listener) {
		c := t.connect(n, l)
		t.accept(l, c)
		t.resetByServer(c)
		dissolve(c.client)
		t.list("close", c.clientEnd, c.peerEnd, 0, c.client, noFD)
		c = t.connectFD(c.client, l)
		t.accept(l, c)
		t.closeClient(c)
		t.closeServer(c)
	})
}

// resetByServer closes the server's socket with a reset and waits until the client has got it.
func (t *thread) resetByServer(c *connection) {
	abortive(c.server)
	t.closeServer(c)
	workload.WaitForSocket(c.client, unix.POLLHUP)
}

func shut(fd, how int) { workload.Check("shut down", unix.Shutdown(fd, how)) }

// waitUntilEndIsKnown waits until the other side has acknowledged the end of the data, which
// it may delay for a while.
func waitUntilEndIsKnown(fd int) {
	const finWait2 = 5
	for range 1000 {
		if workload.Must(unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)).State == finWait2 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	workload.Check("wait", errors.New("the end of what was sent is not acknowledged"))
}

// abortive makes closing the socket a reset.
func abortive(fd int) {
	workload.Check("do not linger", unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
}

// shutDown ends both directions, which is the end of the connection; closing it then is nothing new.
func (t *thread) shutDown(c *connection) {
	t.list("close", c.clientEnd, c.peerEnd, 0, c.client, noFD)
	shut(c.client, unix.SHUT_RDWR)
	workload.CloseFD(c.client)
	workload.WaitForSocket(c.server, unix.POLLIN)
	shut(c.server, unix.SHUT_WR) // the second direction to end
	t.closeServer(c)
}

// closeDuplicate closes a socket that has two descriptors.
func (t *thread) closeDuplicate(c *connection) {
	fd := workload.Must(unix.Dup(c.client))
	workload.CloseFD(c.client)
	c.client = fd
	t.closeClient(c)
	t.closeServer(c)
}

// byExit leaves the closing to the kernel: a process that has one end exits, or is killed.
func byExit(t *thread) {
	for _, kill := range []bool{false, true} {
		t.withPair(ipv4(), func(c *connection) { t.exitWith(c, kill) })
	}
}

// exitWith hands the client's end to a process of one thread, which then ends.
func (t *thread) exitWith(c *connection, kill bool) {
	cmd := exec.Command("cat")
	stdin := workload.Must(cmd.StdinPipe())
	file := os.NewFile(uintptr(workload.Must(unix.FcntlInt(uintptr(c.client), unix.F_DUPFD_CLOEXEC, 0))), "socket")
	cmd.ExtraFiles = []*os.File{file}
	workload.Check("start a process", cmd.Start())
	workload.Check("close", file.Close())
	workload.CloseFD(c.client)
	if kill {
		unix.Kill(cmd.Process.Pid, unix.SIGKILL)
		cmd.Wait() // says that it was killed
	} else {
		stdin.Close()
		workload.Check("wait for a process", cmd.Wait())
	}
	t.list("close", c.clientEnd, c.peerEnd, 0, noFD, noFD)
	t.Events[len(t.Events)-1].Proc = t.Proc.Child("cat", cmd.Process.Pid)
	t.closeServer(c)
}

// orphan closes a socket that still has data to send, after its end was announced. The rest of the
// socket disappears with the other end, which cannot receive all data.
func orphan(t *thread) {
	t.withPair(ipv4(), func(c *connection) {
		fill(c.client)
		shut(c.client, unix.SHUT_WR)
		workload.CloseFD(c.client)
		t.closeServer(c)
		t.list("close", c.clientEnd, c.peerEnd, 0, c.client, noFD)
	})
}

// fill sends until nothing more fits.
func fill(fd int) {
	workload.Check("do not wait", unix.SetNonblock(fd, true))
	var err error
	for data := make([]byte, 1<<16); err == nil; {
		_, err = unix.Write(fd, data)
	}
	workload.Want("send more than fits", err, unix.EAGAIN)
}
