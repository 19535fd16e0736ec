// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/privileges"
	"github.com/gizmo-ebpf/gizmo/internal/seccomp"
	"github.com/gizmo-ebpf/gizmo/run"
)

// capabilitiesToKeep finds out, before a loaded run begins, what it needs after it has attached its programs. It returns false if
// gizmo has to keep all. Asking opens files, which would be events of the run itself later.
func (a *app) capabilitiesToKeep(r *run.Run) (keep []privileges.Cap, ok bool) {
	if _, err := r.Stats(); err != nil { // which remembers what the kernel does not tell later
		a.logger.Debug("the counts of programs cannot be read", "error", err)
	}
	// Kernels before 5.19 let a process without CAP_BPF not even read the maps that it has open, where programs of
	// ordinary users are forbidden. Reading the counts of the programs is such a call, too.
	var refused error
	if err := privileges.Try(func() { _, refused = r.Stats() }); err != nil {
		a.logger.Debug("gizmo keeps its capabilities", "error", err)
		return nil, false
	}
	if refused != nil {
		a.logger.Debug("gizmo keeps CAP_BPF, since the kernel allows no reading of maps without it", "error", refused)
		return []privileges.Cap{unix.CAP_BPF}, true
	}
	return nil, true
}

// dropPrivileges gives up all capabilities but those to keep, the right to gain others, and the system calls that are not needed.
func (a *app) dropPrivileges(needs seccomp.Needs, keep ...privileges.Cap) {
	if err := privileges.Drop(keep...); err != nil {
		a.logger.Debug("gizmo keeps capabilities", "error", err)
	}
	if err := privileges.NoNewPrivileges(); err != nil {
		a.logger.Debug("gizmo can gain privileges by executing programs", "error", err)
	}
	if err := seccomp.Restrict(needs); err != nil {
		a.logger.Debug("gizmo keeps all system calls", "error", err)
	}
}
