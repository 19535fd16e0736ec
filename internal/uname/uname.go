// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package uname says what the running kernel calls itself.
package uname

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Release returns the kernel's release, as "uname -r" prints it: 6.1.0-40-amd64.
func Release() string {
	u := ask()
	return unix.ByteSliceToString(u.Release[:])
}

// AtLeast reports whether the kernel's version is the given one or a later one.
func AtLeast(major, minor int) bool {
	var hasMajor, hasMinor int
	_, _ = fmt.Sscanf(Release(), "%d.%d", &hasMajor, &hasMinor) // every release of Linux begins like this
	return hasMajor > major || hasMajor == major && hasMinor >= minor
}

// Machine returns the kind of the machine, as "uname -m" prints it: x86_64 or aarch64.
func Machine() string {
	u := ask()
	return unix.ByteSliceToString(u.Machine[:])
}

// ask asks the kernel, which fails only for memory that is not there.
func ask() (u unix.Utsname) {
	if err := unix.Uname(&u); err != nil {
		panic(err)
	}
	return u
}
