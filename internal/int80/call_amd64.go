// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package int80

import "golang.org/x/sys/unix"

// mapLow has the kernel map memory where addresses are short.
const mapLow = unix.MAP_32BIT

// Call makes a call as 32-bit programs do: with their numbers, and registers of half the size.
func Call(nr, a, b, c, d, e uintptr) uintptr

// Available reports whether the kernel takes such calls. If it does not, the processor complains.
func Available() (ok bool) {
	defer func() { ok = recover() == nil }()
	const getpid = 20
	Call(getpid, 0, 0, 0, 0, 0)
	return true
}
