// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
	"github.com/gizmo-ebpf/gizmo/internal/int80"
)

// Numbers of the calls of 32-bit programs, and of bind in socketcall.
const (
	socketcall32   = 102
	bind32         = 361
	socketcallBind = 2
)

// call32 binds as 32-bit programs do.
func (t *thread) call32(low *int80.LowMemory) {
	const size = unix.SizeofSockaddrInet4
	loopback := low.Put([]byte{unix.AF_INET, 0, 0, 0, 127, 0, 0, 1, size - 1: 0})
	for _, multiplexed := range []bool{false, true} {
		s := t.new(udp4)
		args := [5]uintptr{bind32, uintptr(s.fd), loopback, size}
		if multiplexed {
			args = [5]uintptr{socketcall32, socketcallBind, low.Numbers(uint32(s.fd), uint32(loopback), size)}
		}
		_, errno := int80.Result(int80.Call(args[0], args[1], args[2], args[3], 0, 0))
		s.result(errno, 0, workload.Endpoint{})
	}
}
