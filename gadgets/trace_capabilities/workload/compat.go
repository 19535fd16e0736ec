// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/int80"
)

const (
	sethostname32 = 74
	compatCall    = 1 << 32 // GADGET_SYSCALL_COMPAT
)

// call32 makes a call as 32-bit programs do.
func (t *thread) call32(*int80.LowMemory) {
	c := sethostname()
	c.number = sethostname32 | compatCall
	c.make = func(c *call) unix.Errno {
		_, c.errno = int80.Result(int80.Call(sethostname32, 0, 0xffffffff, 0, 0, 0))
		return c.errno
	}
	t.do(true, c)
}
