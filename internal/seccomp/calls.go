// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package seccomp

import (
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// newestCall is the greatest number in the lists of golang.org/x/sys. Numbers of 424 and above are the same on all processors.
const newestCall = unix.SYS_RSEQ_SLICE_YIELD

// callsOf returns the rules for a process with the given number. Calls that it does not list are allowed.
func callsOf(needs Needs, pid uint32) map[uint32]*rule {
	never, absent := always(forbid), always(missing)
	calls := make(map[uint32]*rule)
	for _, n := range slices.Concat(programs(), processes(), system(), mounts(), sockets(), files(), identity(), seldom(), oldCalls()) {
		calls[n] = never
	}
	// The arguments of these calls are in memory, where a filter cannot read them. Callers can fall back to the older calls.
	calls[unix.SYS_CLONE3], calls[unix.SYS_OPENAT2] = absent, absent
	// Go needs new threads. A call that starts a process could start it in new namespaces, as root of a user namespace.
	calls[unix.SYS_CLONE] = withBits(0, unix.CLONE_THREAD, newNamespaces)
	calls[unix.SYS_KILL], calls[unix.SYS_TGKILL] = only(0, pid), only(0, pid)
	calls[unix.SYS_PRLIMIT64] = only(0, 0, pid)
	// These put characters into the terminal's input, which the shell reads.
	calls[unix.SYS_IOCTL] = except(1, unix.TIOCSTI, unix.TIOCLINUX)
	calls[unix.SYS_BPF] = never
	if needs.Maps {
		calls[unix.SYS_BPF] = only(0, bpfCommands(needs)...)
	}
	if needs.AttachProbes {
		delete(calls, unix.SYS_OPENAT2)
		delete(calls, unix.SYS_NAME_TO_HANDLE_AT) // asks for a number of a file; opening by it stays forbidden
	}
	if needs.PerfEvents {
		delete(calls, unix.SYS_PERF_EVENT_OPEN)
	}
	if needs.EnterNetworks {
		calls[unix.SYS_SETNS] = only(1, unix.CLONE_NEWNET)
	}
	if families := socketFamilies(needs); needs.Internet {
		calls[unix.SYS_SOCKET] = internetOr(families)
	} else if len(families) > 0 {
		calls[unix.SYS_SOCKET] = only(0, families...)
	}
	if needs.HoldFiles {
		delete(calls, unix.SYS_FANOTIFY_MARK)
	}
	for n, arg := range openCalls() {
		calls[n] = withoutBits(arg, openFlags(needs))
	}
	return calls
}

const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET

// openFlags returns the flags that open must not have.
func openFlags(needs Needs) uint32 {
	if needs.WriteFiles {
		return unix.O_CREAT | unix.O_TRUNC
	}
	return unix.O_CREAT | unix.O_TRUNC | unix.O_WRONLY | unix.O_RDWR
}

// socketFamilies returns the kinds of sockets that the process may open.
func socketFamilies(needs Needs) (families []uint32) {
	if needs.UnixSockets {
		families = append(families, unix.AF_UNIX)
	}
	if needs.AttachPackets {
		families = append(families, unix.AF_PACKET)
	}
	return families
}

// internetOr allows sockets of the families, and those of TCP and UDP by the default protocol of their types: neither raw sockets, which
// could send anything in a run that keeps CAP_NET_RAW, nor protocols that few use.
func internetOr(families []uint32) *rule {
	code := []bpf.Instruction{loadArg(0)}
	const afterFamilies = 3 // instructions
	for i, family := range families {
		code = append(code, bpf.JumpIf{Cond: bpf.JumpEqual, Val: family, SkipTrue: uint8(len(families) - 1 - i + afterFamilies + socketTypes)})
	}
	return &rule{append(code,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET6, SkipTrue: 1},
		forbid,
		// The next socketTypes instructions.
		loadArg(1),
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf}, // SOCK_TYPE_MASK: the rest are flags
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_STREAM, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_DGRAM, SkipTrue: 1},
		forbid,
		loadArg(2),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1},
		forbid,
		allow,
	)}
}

const socketTypes = 8

// bpfCommands returns the commands of bpf(2) that the process may use.
func bpfCommands(needs Needs) []uint32 {
	commands := mapCommands()
	if needs.AttachProbes || needs.AttachInterfaces {
		commands = append(commands, unix.BPF_LINK_CREATE)
	}
	if needs.PerfEvents || needs.AttachPackets {
		commands = append(commands, unix.BPF_PROG_LOAD)
	}
	if needs.Programs {
		commands = append(commands, unix.BPF_PROG_GET_NEXT_ID, unix.BPF_PROG_GET_FD_BY_ID, unix.BPF_MAP_GET_FD_BY_ID, unix.BPF_BTF_GET_FD_BY_ID)
	}
	return commands
}

// mapCommands returns the commands of bpf(2) that an attached gadget needs, from its first event to its end.
func mapCommands() []uint32 {
	return []uint32{
		unix.BPF_MAP_LOOKUP_ELEM, unix.BPF_MAP_UPDATE_ELEM, unix.BPF_MAP_DELETE_ELEM, unix.BPF_MAP_GET_NEXT_KEY,
		unix.BPF_MAP_LOOKUP_AND_DELETE_ELEM, unix.BPF_MAP_LOOKUP_BATCH, unix.BPF_MAP_LOOKUP_AND_DELETE_BATCH,
		unix.BPF_MAP_UPDATE_BATCH, unix.BPF_MAP_DELETE_BATCH,
		unix.BPF_ITER_CREATE, unix.BPF_OBJ_GET_INFO_BY_FD, unix.BPF_LINK_DETACH, unix.BPF_PROG_DETACH,
	}
}

// programs start programs.
func programs() []uint32 { return []uint32{unix.SYS_EXECVE, unix.SYS_EXECVEAT} }

// processes reach into other processes.
func processes() []uint32 {
	return []uint32{
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PROCESS_MRELEASE,
		unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_KCMP,
		unix.SYS_TKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO,
	}
}

// system change the state of the machine.
func system() []uint32 {
	return []uint32{
		unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
		unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD,
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX,
		unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_SYSLOG, unix.SYS_VHANGUP,
	}
}

// mounts change what the process sees as the file system, and its other namespaces.
func mounts() []uint32 {
	return []uint32{
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOUNT_SETATTR, unix.SYS_OPEN_TREE,
		unix.SYS_OPEN_TREE_ATTR, unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK,
		unix.SYS_UNSHARE, unix.SYS_SETNS,
	}
}

func sockets() []uint32 { return []uint32{unix.SYS_SOCKET, unix.SYS_SOCKETPAIR} }

// files make, rename and remove files, and change their owners. Writing to open files stays allowed.
func files() []uint32 {
	return []uint32{
		unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_LINKAT, unix.SYS_SYMLINKAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2,
		unix.SYS_TRUNCATE, unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT,
		unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_SETXATTRAT,
		unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR, unix.SYS_REMOVEXATTRAT,
		unix.SYS_FILE_SETATTR, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT,
	}
}

// identity change the identity of the process, and use the kernel's keys.
func identity() []uint32 {
	return []uint32{
		unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETREGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID,
		unix.SYS_SETFSUID, unix.SYS_SETFSGID, unix.SYS_SETGROUPS, unix.SYS_PERSONALITY, unix.SYS_LSM_SET_SELF_ATTR,
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	}
}

// seldom are parts of the kernel that few programs use, in which flaws were found again and again.
func seldom() []uint32 {
	return []uint32{
		unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_PERF_EVENT_OPEN,
		unix.SYS_FANOTIFY_INIT, unix.SYS_FANOTIFY_MARK, unix.SYS_MEMFD_CREATE, unix.SYS_MEMFD_SECRET, unix.SYS_VMSPLICE,
		unix.SYS_MBIND, unix.SYS_SET_MEMPOLICY, unix.SYS_SET_MEMPOLICY_HOME_NODE, unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES,
		unix.SYS_REMAP_FILE_PAGES, unix.SYS_LOOKUP_DCOOKIE, unix.SYS_NFSSERVCTL,
		unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_SHMCTL, unix.SYS_SHMDT, unix.SYS_SEMGET, unix.SYS_SEMOP, unix.SYS_SEMTIMEDOP, unix.SYS_SEMCTL,
		unix.SYS_MSGGET, unix.SYS_MSGSND, unix.SYS_MSGRCV, unix.SYS_MSGCTL,
		unix.SYS_MQ_OPEN, unix.SYS_MQ_UNLINK, unix.SYS_MQ_TIMEDSEND, unix.SYS_MQ_TIMEDRECEIVE, unix.SYS_MQ_NOTIFY, unix.SYS_MQ_GETSETATTR,
	}
}
