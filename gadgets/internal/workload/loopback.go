// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Loopback is a way to reach this machine.
type Loopback struct {
	// Domain is that of sockets.
	Domain int
	// At returns the address of a port.
	At func(port int) unix.Sockaddr
}

// LoopbackIPv4 is 127.0.0.1.
func LoopbackIPv4() Loopback {
	return Loopback{unix.AF_INET, func(port int) unix.Sockaddr {
		return &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}
	}}
}

// LoopbackIPv6 is ::1.
func LoopbackIPv6() Loopback {
	return Loopback{unix.AF_INET6, func(port int) unix.Sockaddr {
		return &unix.SockaddrInet6{Addr: [16]byte{15: 1}, Port: port}
	}}
}

// LoopbackMapped is 127.0.0.1 through sockets of IPv6.
func LoopbackMapped() Loopback {
	return Loopback{unix.AF_INET6, func(port int) unix.Sockaddr {
		return &unix.SockaddrInet6{Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}, Port: port}
	}}
}

// CloseFD closes a descriptor, and ends the workload if that fails.
func CloseFD(fd int) { Check("close", unix.Close(fd)) }

// WaitForSocket waits until a socket is ready for poll's events, and ends the workload if it does not get ready in ten seconds.
func WaitForSocket(fd int, events int16) {
	const tenSeconds = 10_000
	p := []unix.PollFd{{Fd: int32(fd), Events: events}}
	n, err := unix.Poll(p, tenSeconds)
	for err == unix.EINTR {
		n, err = unix.Poll(p, tenSeconds)
	}
	if err == nil && n == 0 {
		err = errors.New("it does not get ready")
	}
	Check("wait for a socket", err)
}
