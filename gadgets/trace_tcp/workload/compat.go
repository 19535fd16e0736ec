// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
	"github.com/gizmo-ebpf/gizmo/internal/int80"
)

// Numbers of the calls of 32-bit programs, and of the calls in socketcall.
const (
	close32      = 6
	socketcall32 = 102
	connect32    = 362
	accept4_32   = 364
	shutdown32   = 373

	socketcallConnect  = 3
	socketcallAccept   = 5
	socketcallShutdown = 13
)

// call32 connects and accepts as 32-bit programs do.
func (t *thread) call32(low *int80.LowMemory) {
	for _, w := range []*ways32{directly(), multiplexed(low)} {
		t.compatWay(low, w)
	}
	// For 64-bit programs, the number of one of the gadget's calls is that of another: setresuid, kexec_load.
	unix.Syscall(socketcall32, ^uintptr(0), ^uintptr(0), ^uintptr(0))
}

// ways32 are ways to make a call.
type ways32 struct {
	connect, accept, shutdown func(args ...uint32) (uintptr, unix.Errno)
}

func directly() *ways32 {
	call := func(nr uintptr) func(...uint32) (uintptr, unix.Errno) {
		return func(args ...uint32) (uintptr, unix.Errno) {
			var a [5]uintptr
			for i, v := range args {
				a[i] = uintptr(v)
			}
			return int80.Result(int80.Call(nr, a[0], a[1], a[2], a[3], a[4]))
		}
	}
	return &ways32{connect: call(connect32), accept: call(accept4_32), shutdown: call(shutdown32)}
}

func multiplexed(low *int80.LowMemory) *ways32 {
	call := func(nr uintptr) func(...uint32) (uintptr, unix.Errno) {
		return func(args ...uint32) (uintptr, unix.Errno) {
			return int80.Result(int80.Call(socketcall32, nr, low.Numbers(args...), 0, 0, 0))
		}
	}
	return &ways32{connect: call(socketcallConnect), accept: call(socketcallAccept), shutdown: call(socketcallShutdown)}
}

func (t *thread) compatWay(low *int80.LowMemory, w *ways32) {
	n := ipv4()
	n.withListener(1, func(l *listener) {
		fd := n.socket(0)
		addr, size := low.Put(sockaddr4(l.addr)), uint32(unix.SizeofSockaddrInet4)
		t.list("connect", none(4), endpoint(l.addr), unix.EINVAL, fd, noFD)
		_, errno := w.connect(uint32(fd), uint32(addr), 3)
		workload.Want("connect to a short address", errno, unix.EINVAL)
		_, errno = w.connect(uint32(fd), uint32(addr), size)
		workload.Want("connect", errno, 0)
		c := t.connected(fd, l)
		server, errno := w.accept(uint32(l.fd), 0, 0, 0)
		workload.Want("accept", errno, 0)
		t.accepted(int(server), l, c)
		t.list("close", c.clientEnd, c.peerEnd, 0, c.client, noFD)
		_, errno = w.shutdown(uint32(fd), unix.SHUT_RDWR)
		workload.Want("shut down", errno, 0)
		int80.Call(close32, uintptr(fd), 0, 0, 0, 0)
		t.list("close", c.peerEnd, c.clientEnd, 0, c.server, noFD)
		_, errno = int80.Result(int80.Call(close32, server, 0, 0, 0, 0))
		workload.Want("close", errno, 0)
	})
}

// sockaddr4 is the address as the kernel takes it.
func sockaddr4(a unix.Sockaddr) []byte {
	in := a.(*unix.SockaddrInet4)
	b := binary.LittleEndian.AppendUint16(nil, unix.AF_INET)
	b = binary.BigEndian.AppendUint16(b, uint16(in.Port))
	b = append(b, in.Addr[:]...)
	return append(b, make([]byte, 8)...)
}
