// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package memory finds out how much memory this process may use: the machine's memory, or less if a
// control group limits the process.
package memory

import (
	"fmt"
	"io/fs"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Unlimited is the result if neither the machine's memory nor a limit of a control group is known.
const Unlimited = math.MaxUint64

// Usable returns how many bytes of memory this process may use. It returns [Unlimited] if that cannot be
// found out; the error says why. If one of the two limits is unknown, it returns the other.
func Usable() (uint64, error) {
	return usable(os.DirFS("/"))
}

func usable(root fs.FS) (uint64, error) {
	machine, err := installed()
	if err != nil {
		machine = Unlimited
	}
	limit, limitErr := groupLimit(root)
	if err == nil {
		err = limitErr
	}
	return min(machine, limit), err
}

// installed returns how many bytes of memory the machine has.
func installed() (uint64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("sysinfo: %w", err)
	}
	return uint64(info.Totalram) * uint64(info.Unit), nil
}

// Available is Usable without the error: if the limit is unknown, it returns [Unlimited], and allocations may fail later.
func Available() uint64 {
	most, _ := Usable()
	return min(most, 1<<62)
}
