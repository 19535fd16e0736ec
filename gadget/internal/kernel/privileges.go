// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// ErrPrivileges is wrapped by errors about missing privileges.
var ErrPrivileges = errors.New("missing privileges")

// CheckPrivileges fails early, and in plain words, where loading could only fail.
func CheckPrivileges() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil // the kernel will return an error if privileges are missing
	}
	has := func(c int) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	if has(unix.CAP_SYS_ADMIN) || has(unix.CAP_BPF) && has(unix.CAP_PERFMON) {
		return nil
	}
	return fmt.Errorf("%w: running a gadget needs root, or the capabilities CAP_BPF and CAP_PERFMON: try sudo", ErrPrivileges)
}

// RaiseMemlock lifts the limit of locked memory on kernels that count a gadget's memory as locked.
func RaiseMemlock() error { return explainMemlock(rlimit.RemoveMemlock(), userNamespace()) }

// explainMemlock explains an error of kernels that count the memory of maps as locked. The library takes a kernel that lets it make
// no map at all for one of those; place is the hint of userNamespace.
func explainMemlock(err error, place string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM) && place != "":
		return fmt.Errorf("%w: %s", ErrPrivileges, place)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: kernels before 5.11 count a gadget's memory as locked memory: run as root, with CAP_SYS_RESOURCE, or without that limit (ulimit -l unlimited): %w",
			ErrPrivileges, err)
	}
	return fmt.Errorf("raise the limit of locked memory: %w", err)
}

// MemoryError says that this process may not use enough memory. Smaller buffers need less.
type MemoryError struct{ Cause error }

// Error returns the message of the cause.
func (e *MemoryError) Error() string { return e.Cause.Error() }

// Unwrap returns the cause.
func (e *MemoryError) Unwrap() error { return e.Cause }
