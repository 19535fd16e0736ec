// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package seccomp

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// oldCalls are calls to forbid that newer architectures do not have: those have only the successors.
func oldCalls() []uint32 { return nil }

// openCalls are the calls that open files, with the place of the flags among their arguments.
func openCalls() map[uint32]int { return map[uint32]int{unix.SYS_OPENAT: 2} }
