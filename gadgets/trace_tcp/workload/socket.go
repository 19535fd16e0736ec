// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

const noFD = -1

// network is a way to reach this machine.
type network struct {
	domain int
	// listen is where listeners bind, at turns that into an address to connect to.
	listen unix.Sockaddr
	at     func(port int) unix.Sockaddr
}

func ipv4() network {
	loopback := [4]byte{127, 0, 0, 1}
	return network{
		domain: unix.AF_INET,
		listen: &unix.SockaddrInet4{Addr: loopback},
		at:     func(port int) unix.Sockaddr { return &unix.SockaddrInet4{Addr: loopback, Port: port} },
	}
}

func ipv6() network {
	loopback := [16]byte{15: 1}
	return network{
		domain: unix.AF_INET6,
		listen: &unix.SockaddrInet6{Addr: loopback},
		at:     func(port int) unix.Sockaddr { return &unix.SockaddrInet6{Addr: loopback, Port: port} },
	}
}

// mapped is IPv4 through sockets of IPv6.
func mapped() network {
	loopback := [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}
	return network{
		domain: unix.AF_INET6,
		listen: &unix.SockaddrInet6{},
		at:     func(port int) unix.Sockaddr { return &unix.SockaddrInet6{Addr: loopback, Port: port} },
	}
}

func (n network) version() int {
	if n.domain == unix.AF_INET {
		return 4
	}
	return 6
}

func (n network) socket(flags int) (int, error) {
	fd, err := unix.Socket(n.domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, unix.IPPROTO_TCP)
	if err != nil {
		return noFD, fmt.Errorf("make a socket: %w", err)
	}
	return fd, nil
}

// listener is a socket that listens, and the address to reach it at.
type listener struct {
	fd   int
	addr unix.Sockaddr
}

func (n network) newListener(backlog int) (*listener, error) {
	fd, err := n.socket(0)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(unix.Bind(fd, n.listen), unix.Listen(fd, backlog)); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	port, err := portOf(fd)
	if err != nil {
		return nil, err
	}
	return &listener{fd: fd, addr: n.at(port)}, nil
}

// bound returns a socket that is bound to an address of its own, which is known then.
func (n network) bound(flags int) (int, workload.Endpoint, error) {
	fd, err := n.socket(flags)
	if err != nil {
		return noFD, workload.Endpoint{}, err
	}
	if err := unix.Bind(fd, n.at(0)); err != nil {
		return noFD, workload.Endpoint{}, fmt.Errorf("bind: %w", err)
	}
	src, err := local(fd)
	return fd, src, err
}

// closedPort returns an address at which nobody listens.
func (n network) closedPort() (unix.Sockaddr, error) {
	fd, src, err := n.bound(0)
	if err != nil {
		return nil, err
	}
	return n.at(src.Port), unix.Close(fd)
}

func portOf(fd int) (int, error) {
	e, err := local(fd)
	return e.Port, err
}

func local(fd int) (workload.Endpoint, error) {
	a, err := unix.Getsockname(fd)
	if err != nil {
		return workload.Endpoint{}, fmt.Errorf("find the socket's address: %w", err)
	}
	return endpoint(a), nil
}

// wait waits until the socket is ready for something.
func wait(fd int, events int16) error {
	const tenSeconds = 10_000
	p := []unix.PollFd{{Fd: int32(fd), Events: events}}
	n, err := unix.Poll(p, tenSeconds)
	for err == unix.EINTR {
		n, err = unix.Poll(p, tenSeconds)
	}
	if err != nil || n == 0 {
		return fmt.Errorf("wait for a socket: %d ready: %v", n, err)
	}
	return nil
}

// mustBe checks the result of a call. Success is nil or 0.
func mustBe(what string, got error, want unix.Errno) error {
	if got == nil {
		got = unix.Errno(0)
	}
	if errors.Is(got, want) {
		return nil
	}
	return fmt.Errorf("%s: got %v, want %v", what, got, want)
}

// duplicate makes a file for another process.
func duplicate(fd int) (*os.File, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(n), "socket"), nil
}
