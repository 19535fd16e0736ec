// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package starts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// message is what the two processes send each other, one message in a packet.
type message struct {
	// Watched are the runtimes that the guard watches. Its first message has them, or an error.
	Watched []string `json:",omitempty"`
	Error   string   `json:",omitempty"`
	// Creating is a container that is about to be made. It needs no answer.
	Creating *Start `json:",omitempty"`
	// Number is that of a container that was created. The answer to the guard has the same number.
	Number uint64 `json:",omitempty"`
	Start  *Start `json:",omitempty"`
}

// maxMessage is larger than any message: a path has 4096 bytes at most.
const maxMessage = 64 << 10

// socketFD is the descriptor of the guard's end of the socket.
const socketFD = 3

// Guard is a process that runs a Watcher, seen from the process that started it. The kernel lets a container run when the guard has
// answered. So containers start even while the process that wants to know of them is stopped, by Ctrl-Z for example.
type Guard struct {
	cmd      *exec.Cmd
	socket   *os.File
	creating func(s Start)
	created  func(ctx context.Context, s Start)
	running  sync.WaitGroup // the reader of messages, and what handles them
}

// StartGuard starts a guard: a process that runs the command, which has to call Serve. Its creating, which may be nil, and created are
// called as Options says, but the OCI runtime does not wait for creating, which must return at once. Of one container, creating is called
// first. StartGuard does not wait until the guard watches: see Ready.
func StartGuard(command []string, creating func(s Start), created func(ctx context.Context, s Start)) (*Guard, error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("socketpair: %w", err)
	}
	own, other := os.NewFile(uintptr(ends[0]), "guard"), os.NewFile(uintptr(ends[1]), "guard")
	defer other.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.ExtraFiles = []*os.File{other}
	cmd.Env = []string{"GOMAXPROCS=1"}
	// In its own session, so that no key of a terminal stops it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		own.Close()
		return nil, err
	}
	return &Guard{cmd: cmd, socket: own, creating: creating, created: created}, nil
}

// readyIn is how long Ready waits for a guard.
const readyIn = 500 * time.Millisecond

// Ready waits until the guard watches, and returns which runtimes. It must be called once.
func (g *Guard) Ready() (watched []string, err error) {
	if err := g.socket.SetReadDeadline(time.Now().Add(readyIn)); err != nil {
		return nil, err
	}
	var m message
	if err := receive(g.socket, make([]byte, maxMessage), &m); err != nil {
		return nil, fmt.Errorf("the process that watches containers: %w", err)
	}
	if m.Error != "" {
		return nil, errors.New(m.Error)
	}
	g.running.Go(g.run)
	return m.Watched, g.socket.SetReadDeadline(time.Time{})
}

// run handles containers until the socket is closed.
func (g *Guard) run() {
	buf := make([]byte, maxMessage)
	for {
		var m message
		if err := receive(g.socket, buf, &m); err != nil {
			return
		}
		if m.Creating != nil && g.creating != nil {
			g.creating(*m.Creating)
		}
		if m.Start == nil {
			continue
		}
		g.running.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), MostDelay)
			defer cancel()
			g.created(ctx, *m.Start)
			_ = send(g.socket, &message{Number: m.Number}) // the guard has a time limit of its own
		})
	}
}

// End makes the guard end, and does not wait for that: the kernel takes some 30 ms. Containers that are held up run on.
func (g *Guard) End() error { return g.socket.Close() }

// Close ends the guard and waits until it is gone.
func (g *Guard) Close() error {
	err := g.End()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	_ = g.cmd.Wait() // the guard has reported its errors
	g.running.Wait()
	return err
}

// receive reads a message. The error is io.EOF if the other process has ended.
func receive(socket *os.File, buf []byte, m *message) error {
	n, err := socket.Read(buf)
	if err != nil {
		return err
	}
	return json.Unmarshal(buf[:n], m)
}

// send writes a message. It fails if the other process has not read the earlier ones and the socket is full.
func send(socket *os.File, m *message) error {
	packet, err := json.Marshal(m)
	if err != nil {
		return err
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Control(func(fd uintptr) {
		sent = unix.Sendto(int(fd), packet, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
	})
	return errors.Join(err, sent)
}
