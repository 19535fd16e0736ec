// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/internal/privileges"
	"github.com/gizmo-ebpf/gizmo/internal/seccomp"
	"github.com/gizmo-ebpf/gizmo/run"
)

// dropAfterAttach returns what gives up, once the programs of a loaded run are attached, the rights that the run does not need.
func (a *app) dropAfterAttach(r *run.Run, containers, internet bool) (drop func()) {
	if !a.DropPrivileges {
		return func() {}
	}
	keep, ok := a.capabilitiesToKeep(r)
	if !ok {
		return func() {}
	}
	return func() {
		needs, keep := needsOf(r, containers, keep)
		needs.Internet = internet
		a.dropPrivileges(needs, keep...)
	}
}

// capabilitiesToKeep finds out, before a loaded run begins, which capabilities it needs after it has attached its programs. It returns
// false if gizmo has to keep all. It runs before attaching, because it opens files, which would be events of the run itself.
func (a *app) capabilitiesToKeep(r *run.Run) (keep []privileges.Cap, ok bool) {
	if _, err := r.Stats(); err != nil { // Stats remembers what the kernel does not report later
		a.logger.Debug("cannot read the kernel's counts of program runs", "error", err)
	}
	// Where unprivileged users may not load programs, kernels before 5.19 do not let a process without CAP_BPF read
	// even the maps that it has open. Reading the counts of the programs is such a call, too.
	var refused error
	if err := privileges.Try(func() { _, refused = r.Stats() }); err != nil {
		a.logger.Debug("gizmo keeps all its capabilities", "error", err)
		return nil, false
	}
	if refused != nil {
		a.logger.Debug("gizmo keeps CAP_BPF, because the kernel requires it to read maps", "error", refused)
		return []privileges.Cap{unix.CAP_BPF}, true
	}
	return nil, true
}

// needsOf returns the system calls and capabilities that a run needs besides those to keep, once its programs are attached.
func needsOf(r *run.Run, containers bool, keep []privileges.Cap) (seccomp.Needs, []privileges.Cap) {
	needs := seccomp.Needs{
		Maps: true, WriteFiles: r.DetachWritesFiles(), UnixSockets: containers,
		AttachProbes: r.AttachesInContainers(), EnterNetworks: r.EntersNetworks(),
		AttachPackets: r.AttachesToPackets(), AttachInterfaces: r.FollowsInterfaces(),
	}
	kernelStacks, userStacks := r.NamesStacks()
	if kernelStacks {
		keep = append(keep, unix.CAP_SYSLOG) // to read the names of modules and programs that come
	}
	if userStacks {
		// To see what other users' processes map, to read these files, and to open those that are deleted.
		keep = append(keep, unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH, unix.CAP_CHECKPOINT_RESTORE)
	}
	if containers {
		keep = append(keep, unix.CAP_SYS_PTRACE) // to see the namespaces of other users' processes, and their files
	}
	builtIns := r.Needs()
	if needs.Programs = builtIns.Programs; needs.Programs {
		keep = append(keep, unix.CAP_SYS_ADMIN) // the kernel shows the programs of others to nobody else
	}
	if builtIns.OtherProcesses || builtIns.OpenFiles {
		keep = append(keep, unix.CAP_SYS_PTRACE)
	}
	if builtIns.OpenFiles {
		keep = append(keep, unix.CAP_DAC_READ_SEARCH) // to list what other users' processes have open
	}
	if needs.AttachProbes {
		keep = append(keep, unix.CAP_DAC_READ_SEARCH) // to read files of other users
		needs.PerfEvents = !gadget.HasProbeLinks()
	}
	if needs.AttachPackets {
		keep = append(keep, unix.CAP_NET_RAW)
	}
	if r.DetachChangesInterfaces() { // the kernel has no links to network interfaces, so attaching takes it, too
		keep = append(keep, unix.CAP_NET_ADMIN)
	}
	if needs.EnterNetworks || needs.PerfEvents { // a link in place of a perf event takes no capability
		keep = append(keep, unix.CAP_SYS_ADMIN)
	}
	return needs, keep
}

// dropPrivileges gives up all capabilities except those to keep, the right to gain others, and the system calls that the run does not need.
func (a *app) dropPrivileges(needs seccomp.Needs, keep ...privileges.Cap) {
	if err := privileges.Drop(keep...); err != nil {
		a.logger.Debug("gizmo could not drop all capabilities", "error", err)
	}
	if err := privileges.NoNewPrivileges(); err != nil {
		a.logger.Debug("gizmo could not set no_new_privs: it can still gain privileges by executing programs", "error", err)
	}
	if err := seccomp.Restrict(needs); err != nil {
		a.logger.Debug("gizmo keeps all system calls", "error", err)
	}
}
