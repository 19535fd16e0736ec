// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Plain system calls: the sockets and their owners must not depend on Go's package net.

// socket makes a socket for an address and binds it to that.
func socket(kind int, at netip.AddrPort) int {
	family := unix.AF_INET6
	if at.Addr().Is4() {
		family = unix.AF_INET
	}
	fd := workload.Must(unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0))
	workload.Check("bind to "+at.String(), unix.Bind(fd, sockaddr(at)))
	return fd
}

// connect makes a socket with a peer, bound to the address from, with any port if that has none.
func connect(kind int, from, to netip.AddrPort) int {
	fd := socket(kind, from)
	if err := unix.Connect(fd, sockaddr(to)); !errors.Is(err, unix.EINPROGRESS) {
		workload.Check("connect to "+to.String(), err)
	}
	return fd
}

func accept(listener int) int {
	fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	workload.Check("accept", err)
	return fd
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// local is the address that a socket is bound to.
func local(fd int) netip.AddrPort {
	switch a := workload.Must(unix.Getsockname(fd)).(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	default:
		panic(fmt.Sprintf("an address of the type %T", a))
	}
}

// The states of TCP, as the kernel numbers them.
const (
	established = 1
	finWait2    = 5
)
