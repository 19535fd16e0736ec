// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// failed is the panic of code that cannot go on. OnThread and Main turn it into an error again.
type failed struct{ err error }

// Error is for a process that is neither, which ends with the panic.
func (f failed) Error() string { return f.err.Error() }

// Check ends the running task or the workload if there is an error.
func Check(what string, err error) {
	if err != nil {
		panic(failed{fmt.Errorf("%s: %w", what, err)})
	}
}

// Must is Check for a call that also has a value, which it returns:
//
//	fd := workload.Must(unix.Open(name, unix.O_RDONLY, 0))
func Must[T any](value T, err error) T {
	if err != nil {
		panic(failed{err})
	}
	return value
}

// Want ends the running task or the workload unless a call has the wanted result: an error of the system, or 0 for a
// success, whose error is nil or 0.
func Want(what string, got error, want unix.Errno) {
	if got == nil {
		got = unix.Errno(0)
	}
	if !errors.Is(got, want) {
		panic(failed{fmt.Errorf("%s: got %w, want %w", what, got, want)})
	}
}

// catch turns the panic of failed into an error. Defer it.
func catch(err *error) {
	switch p := recover().(type) {
	case nil:
	case failed:
		*err = errors.Join(*err, p.err)
	default:
		panic(p)
	}
}

// try runs do and returns its error, also that of a failed panic.
func try(do func() error) (err error) {
	defer catch(&err)
	return do()
}
