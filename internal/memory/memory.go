// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package memory finds out how much memory this process may use.
package memory

import "github.com/KimMachineGun/automemlimit/memlimit"

// Unknown is what Available returns where neither the machine nor a control group tells: the kernel will, in time.
const Unknown = 1 << 62

// Available is how many bytes this process may use: what the machine has, or what its control group allows it if
// that is less.
func Available() uint64 {
	total, err := memlimit.FromSystem()
	if err != nil || total == 0 {
		total = Unknown
	}
	if limit, err := memlimit.FromCgroup(); err == nil && limit > 0 {
		total = min(total, limit)
	}
	return total
}
