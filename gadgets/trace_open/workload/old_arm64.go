// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// makeOld is for the calls that only old architectures have.
func (c *call) makeOld(unsafe.Pointer) (uintptr, unix.Errno) { return 0, unix.ENOSYS }

func (f *files) oldCalls() []call { return nil }
