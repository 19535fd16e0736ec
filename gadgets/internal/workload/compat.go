// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"io"
	"os"

	"github.com/gizmo-ebpf/gizmo/internal/int80"
)

// Compat is for a function that makes calls as 32-bit programs do, given memory for their arguments. On
// a machine that does not take such calls the function that is returned does nothing, so that the calls
// are neither made nor expected, and the workload says so on standard error.
//
// It finds that out when it is called, by starting a process: call it before [Cause].
func Compat[T any](do func(T, *int80.LowMemory)) func(T) {
	return compat(os.Stderr, int80.Available(), do)
}

func compat[T any](log io.Writer, unavailable error, do func(T, *int80.LowMemory)) func(T) {
	if unavailable != nil {
		fmt.Fprintf(log, "workload: calls of 32-bit programs are left out: %v\n", unavailable)
		return func(T) {}
	}
	return func(t T) {
		Check("call as 32-bit programs do", int80.With(func(low *int80.LowMemory) error {
			do(t, low)
			return nil
		}))
	}
}
