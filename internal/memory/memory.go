// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package memory tells how much memory this process may use: what the machine has, or less if a
// control group limits the process.
package memory

import (
	"fmt"
	"io/fs"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Unlimited is the answer where neither the machine nor a control group tells a size.
const Unlimited = math.MaxUint64

// Usable returns how many bytes of memory this process may use. It is [Unlimited] if that cannot be
// found out; the error says why. A limit is found even if the other one is not known.
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

// Available is Usable for those who go on without knowing: then it is as good as unlimited, and the kernel will tell.
func Available() uint64 {
	most, _ := Usable()
	return min(most, 1<<62)
}
