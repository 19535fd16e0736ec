// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package int80 makes system calls as 32-bit programs on amd64 do, for tests of how gadgets report
// them. On other architectures, and on kernels that do not support such calls, With does not call its function:
//
//	return int80.With(func(low *int80.LowMemory) error {
//		_, errno := int80.Result(int80.Call(open32, low.Text("name"), 0, 0, 0, 0))
//		…
//	})
package int80

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"
)

// Available returns nil if the kernel supports the calls of 32-bit programs, or else the reason why not. It finds
// out by trying, once, in a child process, because machines with the same kernel configuration differ. Meanwhile the
// child shares the open files of this process. It sends no signal when it ends.
func Available() error { return tried() }

var tried = sync.OnceValue(try)

// With calls do, but only if the kernel supports the calls of 32-bit programs; otherwise it does
// nothing. do may use the memory until it returns.
func With(do func(*LowMemory) error) (err error) {
	if Available() != nil {
		return nil
	}
	low, err := newLowMemory()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, low.free()) }()
	return do(low)
}

// Result splits the result of a call into its value and its error.
func Result(r uintptr) (uintptr, unix.Errno) {
	if n := int32(r); n < 0 {
		return 0, unix.Errno(-n)
	}
	return r, 0
}
