// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package outlet

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// port is a pipe, a terminal or a socket that is written to without waiting in the kernel.
type port struct {
	fd     int
	own    bool // fd is the port's, to be closed
	socket bool
	wake   int // an eventfd that can be read once there is hurry
}

// openPort returns a port to the file that is open as fd, or nil if that is not possible.
//
// Non-blocking mode is a property of the open file, which this process may share with others, such
// as the shell. So openPort opens pipes and terminals again through /proc; for a socket each write sets a flag.
func openPort(fd int) *port {
	var st unix.Stat_t
	if fd < 0 || unix.Fstat(fd, &st) != nil {
		return nil
	}
	p := &port{fd: fd}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	switch mode := st.Mode & unix.S_IFMT; {
	case err != nil:
		return nil
	case mode == unix.S_IFSOCK:
		p.socket = true
	case mode != unix.S_IFIFO && !term.IsTerminal(fd):
		return nil
	case flags&unix.O_NONBLOCK == 0:
		if p.fd, err = openAnew(fd); err != nil {
			return nil
		}
		p.own = true
	}
	if p.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		p.wake = -1
		_ = p.close()
		return nil
	}
	return p
}

func openAnew(fd int) (int, error) {
	return unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
}

// Own opens the pipe or terminal of f a second time, as an open file of this process alone, which New uses without opening it: for a process
// that must not open files when it calls New. It returns f if New has nothing to open, or cannot open it. The result stays open.
func Own(f *os.File) *os.File {
	p := openPort(fdOf(f))
	if p == nil {
		return f
	}
	_ = unix.Close(p.wake)
	if !p.own {
		return f
	}
	return os.NewFile(uintptr(p.fd), f.Name())
}

func (p *port) close() error {
	if p.wake >= 0 {
		_ = unix.Close(p.wake)
	}
	if p.own {
		return unix.Close(p.fd)
	}
	return nil
}

func (p *port) wakeUp() {
	_, _ = unix.Write(p.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// put writes as much as fits without waiting; it returns EAGAIN if that is not everything.
func (p *port) put(text []byte) (n int, err error) {
	for n < len(text) {
		var k int
		if p.socket {
			k, err = unix.SendmsgN(p.fd, text[n:], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		} else {
			k, err = unix.Write(p.fd, text[n:])
		}
		n += max(k, 0)
		if err != nil && err != unix.EINTR {
			return n, err
		}
	}
	return n, nil
}

func (p *port) write(text []byte, hurry <-chan struct{}, timeout time.Duration) (n int, err error) {
	for {
		k, err := p.put(text[n:])
		n += k
		if err != unix.EAGAIN {
			return n, err
		}
		if err := p.waitForRoom(hurry, timeout); err != nil {
			return n, err
		}
	}
}

// waitForRoom returns when the file takes something, or ErrGivenUp.
func (p *port) waitForRoom(hurry <-chan struct{}, timeout time.Duration) error {
	room, wake := unix.PollFd{Fd: int32(p.fd), Events: unix.POLLOUT}, unix.PollFd{Fd: int32(p.wake), Events: unix.POLLIN}
	select {
	case <-hurry:
	default:
		both := []unix.PollFd{room, wake}
		if _, err := unix.Poll(both, -1); err != nil && err != unix.EINTR {
			return err
		}
		if both[0].Revents != 0 || both[1].Revents == 0 {
			return nil
		}
	}
	end := time.Now().Add(timeout)
	for {
		n, err := unix.Poll([]unix.PollFd{room}, int(max(time.Until(end), 0).Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n > 0:
			return nil
		case !time.Now().Before(end):
			return ErrGivenUp
		}
	}
}
