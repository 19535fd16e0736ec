// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package seccomp

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// call is a system call as a filter sees it.
type call struct {
	number, arch uint32
	args         [6]uint64
}

// run returns the decision of the code. The library's virtual machine reads words in network byte order, so run writes them in that order.
func (c call) run(t *testing.T, code []bpf.Instruction) uint32 {
	t.Helper()
	data := binary.BigEndian.AppendUint32(nil, c.number)
	data = binary.BigEndian.AppendUint32(data, c.arch)
	data = append(data, make([]byte, 8)...) // where the caller is
	for _, a := range c.args {
		data = binary.BigEndian.AppendUint32(data, uint32(a))
		data = binary.BigEndian.AppendUint32(data, uint32(a>>32))
	}
	vm, err := bpf.NewVM(code)
	if err != nil {
		t.Fatal(err)
	}
	decision, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(decision)
}

const self = 4711 // the process of these tests

// The decisions of the filter.
const (
	allowed   = unix.SECCOMP_RET_ALLOW
	forbidden = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	absent    = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

func TestDecisions(t *testing.T) {
	t.Parallel()
	gadget, probes, replay, sockets := Needs{Maps: true}, Needs{Maps: true, WriteFiles: true}, Needs{}, Needs{Maps: true, UnixSockets: true}
	packets, interfaces := Needs{Maps: true, AttachPackets: true}, Needs{Maps: true, AttachInterfaces: true}
	attaching := Needs{Maps: true, AttachProbes: true}
	internet, everywhere := Needs{Maps: true, Internet: true}, Needs{Maps: true, Internet: true, UnixSockets: true, AttachPackets: true}
	threads := uint64(unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD)
	for _, c := range []struct {
		needs  Needs
		number uint32
		args   [6]uint64
		want   uint32
	}{
		{replay, unix.SYS_READ, [6]uint64{}, allowed},
		{replay, unix.SYS_WRITE, [6]uint64{}, allowed},
		{replay, unix.SYS_FUTEX, [6]uint64{}, allowed},
		{replay, unix.SYS_MMAP, [6]uint64{}, allowed},
		{replay, unix.SYS_EXIT_GROUP, [6]uint64{}, allowed},
		{probes, unix.SYS_EXECVE, [6]uint64{}, forbidden},
		{probes, unix.SYS_SOCKET, [6]uint64{unix.AF_UNIX}, forbidden},
		{sockets, unix.SYS_SOCKET, [6]uint64{unix.AF_UNIX}, allowed},
		{sockets, unix.SYS_SOCKET, [6]uint64{unix.AF_INET}, forbidden},
		{sockets, unix.SYS_SOCKET, [6]uint64{unix.AF_NETLINK}, forbidden},
		{sockets, unix.SYS_SOCKETPAIR, [6]uint64{unix.AF_UNIX}, forbidden},
		{sockets, unix.SYS_FANOTIFY_MARK, [6]uint64{}, forbidden},
		{Needs{HoldFiles: true}, unix.SYS_FANOTIFY_MARK, [6]uint64{}, allowed},
		{Needs{HoldFiles: true}, unix.SYS_FANOTIFY_INIT, [6]uint64{}, forbidden},
		{Needs{HoldFiles: true}, unix.SYS_SOCKET, [6]uint64{unix.AF_UNIX}, forbidden},
		{probes, unix.SYS_UNSHARE, [6]uint64{unix.CLONE_NEWUSER}, forbidden},
		{probes, unix.SYS_IO_URING_SETUP, [6]uint64{}, forbidden},
		{probes, unix.SYS_FCHMODAT, [6]uint64{}, forbidden},
		{probes, unix.SYS_CLONE3, [6]uint64{}, absent},
		{probes, unix.SYS_OPENAT2, [6]uint64{}, absent},
		{probes, unix.SYS_NAME_TO_HANDLE_AT, [6]uint64{}, forbidden},
		{attaching, unix.SYS_OPENAT2, [6]uint64{}, allowed},
		{attaching, unix.SYS_NAME_TO_HANDLE_AT, [6]uint64{}, allowed},
		{attaching, unix.SYS_OPEN_BY_HANDLE_AT, [6]uint64{}, forbidden},
		{attaching, unix.SYS_PERF_EVENT_OPEN, [6]uint64{}, forbidden},
		{attaching, unix.SYS_SETNS, [6]uint64{0, unix.CLONE_NEWNET}, forbidden},
		{attaching, unix.SYS_BPF, [6]uint64{unix.BPF_LINK_CREATE}, allowed},
		{attaching, unix.SYS_BPF, [6]uint64{unix.BPF_PROG_LOAD}, forbidden},
		{Needs{Maps: true, AttachProbes: true, PerfEvents: true}, unix.SYS_BPF, [6]uint64{unix.BPF_PROG_LOAD}, allowed},
		{Needs{Maps: true, AttachProbes: true, PerfEvents: true}, unix.SYS_PERF_EVENT_OPEN, [6]uint64{}, allowed},
		{Needs{Maps: true, Programs: true}, unix.SYS_BPF, [6]uint64{unix.BPF_PROG_GET_NEXT_ID}, allowed},
		{Needs{Maps: true, Programs: true}, unix.SYS_BPF, [6]uint64{unix.BPF_MAP_GET_FD_BY_ID}, allowed},
		{Needs{Maps: true, Programs: true}, unix.SYS_BPF, [6]uint64{unix.BPF_PROG_LOAD}, forbidden},
		{gadget, unix.SYS_BPF, [6]uint64{unix.BPF_PROG_GET_FD_BY_ID}, forbidden},
		{packets, unix.SYS_BPF, [6]uint64{unix.BPF_PROG_LOAD}, allowed},
		{packets, unix.SYS_BPF, [6]uint64{unix.BPF_LINK_CREATE}, forbidden},
		{packets, unix.SYS_BPF, [6]uint64{unix.BPF_MAP_CREATE}, forbidden},
		{packets, unix.SYS_SOCKET, [6]uint64{unix.AF_PACKET, unix.SOCK_RAW | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK}, allowed},
		{packets, unix.SYS_SOCKET, [6]uint64{unix.AF_UNIX}, forbidden},
		{packets, unix.SYS_SOCKET, [6]uint64{unix.AF_NETLINK}, forbidden},
		{packets, unix.SYS_SETSOCKOPT, [6]uint64{}, allowed},
		{packets, unix.SYS_BIND, [6]uint64{}, allowed},
		{packets, unix.SYS_SETNS, [6]uint64{5, unix.CLONE_NEWNET}, forbidden},
		{Needs{AttachPackets: true, UnixSockets: true}, unix.SYS_SOCKET, [6]uint64{unix.AF_PACKET}, allowed},
		{Needs{AttachPackets: true, UnixSockets: true}, unix.SYS_SOCKET, [6]uint64{unix.AF_UNIX}, allowed},
		{internet, unix.SYS_SOCKET, [6]uint64{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK}, allowed},
		{internet, unix.SYS_SOCKET, [6]uint64{unix.AF_INET6, unix.SOCK_DGRAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK}, allowed},
		{internet, unix.SYS_SOCKET, [6]uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP}, forbidden},
		{internet, unix.SYS_SOCKET, [6]uint64{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_ICMPV6}, forbidden},
		{internet, unix.SYS_SOCKET, [6]uint64{unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP}, forbidden},
		{internet, unix.SYS_SOCKET, [6]uint64{unix.AF_INET, unix.SOCK_SEQPACKET}, forbidden},
		{internet, unix.SYS_SOCKET, [6]uint64{unix.AF_UNIX, unix.SOCK_STREAM}, forbidden},
		{internet, unix.SYS_SOCKET, [6]uint64{unix.AF_NETLINK, unix.SOCK_DGRAM}, forbidden},
		{internet, unix.SYS_SOCKET, [6]uint64{unix.AF_PACKET, unix.SOCK_DGRAM}, forbidden},
		{internet, unix.SYS_CONNECT, [6]uint64{}, allowed},
		{everywhere, unix.SYS_SOCKET, [6]uint64{unix.AF_INET6, unix.SOCK_STREAM}, allowed},
		{everywhere, unix.SYS_SOCKET, [6]uint64{unix.AF_UNIX, unix.SOCK_STREAM}, allowed},
		{everywhere, unix.SYS_SOCKET, [6]uint64{unix.AF_PACKET, unix.SOCK_RAW, 3}, allowed},
		{everywhere, unix.SYS_SOCKET, [6]uint64{unix.AF_INET, unix.SOCK_RAW, 3}, forbidden},
		{everywhere, unix.SYS_SOCKET, [6]uint64{unix.AF_NETLINK, unix.SOCK_DGRAM}, forbidden},
		{interfaces, unix.SYS_BPF, [6]uint64{unix.BPF_LINK_CREATE}, allowed},
		{interfaces, unix.SYS_BPF, [6]uint64{unix.BPF_PROG_LOAD}, forbidden},
		{interfaces, unix.SYS_SENDTO, [6]uint64{}, allowed},
		{interfaces, unix.SYS_SOCKET, [6]uint64{unix.AF_NETLINK}, forbidden},
		{Needs{Maps: true, EnterNetworks: true}, unix.SYS_SETNS, [6]uint64{5, unix.CLONE_NEWNET}, allowed},
		{Needs{Maps: true, EnterNetworks: true}, unix.SYS_SETNS, [6]uint64{5, unix.CLONE_NEWNS}, forbidden},
		{Needs{Maps: true, EnterNetworks: true}, unix.SYS_SETNS, [6]uint64{5, 0}, forbidden},
		{replay, newestCall, [6]uint64{}, allowed},
		{replay, newestCall + 1, [6]uint64{}, absent},
		{replay, 1<<32 - 1, [6]uint64{}, absent},

		{replay, unix.SYS_CLONE, [6]uint64{threads}, allowed},
		{replay, unix.SYS_CLONE, [6]uint64{uint64(unix.SIGCHLD)}, forbidden},
		{replay, unix.SYS_CLONE, [6]uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}, forbidden},
		{replay, unix.SYS_CLONE, [6]uint64{threads | unix.CLONE_NEWNET}, forbidden},
		{replay, unix.SYS_KILL, [6]uint64{self, uint64(unix.SIGTERM)}, allowed},
		{replay, unix.SYS_KILL, [6]uint64{1, uint64(unix.SIGKILL)}, forbidden},
		{replay, unix.SYS_KILL, [6]uint64{1<<64 - 1, uint64(unix.SIGKILL)}, forbidden},
		{replay, unix.SYS_KILL, [6]uint64{0, uint64(unix.SIGKILL)}, forbidden},
		{replay, unix.SYS_TGKILL, [6]uint64{self, self + 1, uint64(unix.SIGURG)}, allowed},
		{replay, unix.SYS_TGKILL, [6]uint64{1, 1, uint64(unix.SIGKILL)}, forbidden},
		{replay, unix.SYS_PRLIMIT64, [6]uint64{0}, allowed},
		{replay, unix.SYS_PRLIMIT64, [6]uint64{self}, allowed},
		{replay, unix.SYS_PRLIMIT64, [6]uint64{1}, forbidden},
		{replay, unix.SYS_IOCTL, [6]uint64{1, unix.TIOCGWINSZ}, allowed},
		{replay, unix.SYS_IOCTL, [6]uint64{1, unix.TIOCSTI}, forbidden},
		{replay, unix.SYS_IOCTL, [6]uint64{1, 1<<32 | unix.TIOCSTI}, forbidden}, // the kernel looks at the lower half, too
		{replay, unix.SYS_IOCTL, [6]uint64{1, unix.TIOCLINUX}, forbidden},

		{replay, unix.SYS_BPF, [6]uint64{unix.BPF_MAP_LOOKUP_ELEM}, forbidden},
		{gadget, unix.SYS_BPF, [6]uint64{unix.BPF_MAP_LOOKUP_ELEM}, allowed},
		{gadget, unix.SYS_BPF, [6]uint64{unix.BPF_PROG_DETACH}, allowed},
		{gadget, unix.SYS_BPF, [6]uint64{unix.BPF_ITER_CREATE}, allowed},
		{gadget, unix.SYS_BPF, [6]uint64{unix.BPF_PROG_LOAD}, forbidden},
		{gadget, unix.SYS_BPF, [6]uint64{unix.BPF_LINK_CREATE}, forbidden},
		{gadget, unix.SYS_BPF, [6]uint64{unix.BPF_MAP_CREATE}, forbidden},
		{gadget, unix.SYS_BPF, [6]uint64{unix.BPF_PROG_ATTACH}, forbidden},
		{gadget, unix.SYS_BPF, [6]uint64{unix.BPF_OBJ_GET}, forbidden},
		{gadget, unix.SYS_BPF, [6]uint64{1000}, forbidden},

		{replay, unix.SYS_OPENAT, [6]uint64{0, 0, unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK}, allowed},
		{replay, unix.SYS_OPENAT, [6]uint64{0, 0, unix.O_PATH | unix.O_DIRECTORY}, allowed},
		{gadget, unix.SYS_OPENAT, [6]uint64{0, 0, unix.O_WRONLY}, forbidden},
		{gadget, unix.SYS_OPENAT, [6]uint64{0, 0, unix.O_RDWR}, forbidden},
		{gadget, unix.SYS_OPENAT, [6]uint64{0, 0, unix.O_RDONLY | unix.O_CREAT}, forbidden},
		{gadget, unix.SYS_OPENAT, [6]uint64{0, 0, unix.O_RDONLY | unix.O_TRUNC}, forbidden},
		{gadget, unix.SYS_OPENAT, [6]uint64{0, 0, unix.O_TMPFILE | unix.O_RDWR}, forbidden},
		{probes, unix.SYS_OPENAT, [6]uint64{0, 0, unix.O_WRONLY | unix.O_APPEND}, allowed},
		{probes, unix.SYS_OPENAT, [6]uint64{0, 0, unix.O_WRONLY | unix.O_TRUNC}, forbidden},
		{probes, unix.SYS_OPENAT, [6]uint64{0, 0, unix.O_WRONLY | unix.O_CREAT}, forbidden},
	} {
		got := call{c.number, auditArch, c.args}.run(t, program(callsOf(c.needs, self)))
		if got != c.want {
			t.Errorf("%+v: call %d%x: got %#x, want %#x", c.needs, c.number, c.args, got, c.want)
		}
	}
}

// The tree finds the rule of each call, including the last call before a run and the first after it.
func TestProgramFindsEachRule(t *testing.T) {
	t.Parallel()
	for _, needs := range []Needs{{}, {Maps: true}, {Maps: true, WriteFiles: true}, {Maps: true, UnixSockets: true}, {Maps: true, AttachProbes: true, PerfEvents: true, EnterNetworks: true}, {Maps: true, UnixSockets: true, AttachPackets: true, AttachInterfaces: true}, {Maps: true, Internet: true}, {Maps: true, Internet: true, UnixSockets: true, AttachPackets: true}} {
		calls := callsOf(needs, self)
		whole := program(calls)
		for n := range uint32(newestCall + 100) {
			for _, args := range [][6]uint64{{}, {self, self, self}, {1, 1, 1}, {1<<32 - 1, 1<<32 - 1, 1<<32 - 1}} {
				c := call{n, auditArch, args}
				want := uint32(allowed)
				if n > newestCall {
					want = absent
				} else if r := calls[n]; r != nil {
					want = c.run(t, r.code)
				}
				if got := c.run(t, whole); got != want {
					t.Fatalf("%+v: call %d%x: got %#x, want %#x", needs, n, args, got, want)
				}
			}
		}
	}
}

// Calls by the ways of other ABIs do not get around the list.
func TestOtherABIs(t *testing.T) {
	t.Parallel()
	code := program(callsOf(Needs{Maps: true, WriteFiles: true}, self))
	for _, c := range []call{
		{number: 11, arch: unix.AUDIT_ARCH_I386}, // execve
		{number: 3, arch: unix.AUDIT_ARCH_I386},  // read
		{number: 11, arch: unix.AUDIT_ARCH_ARM},
		{number: 0x40000000 + 520, arch: auditArch}, // execve of x32
		{number: 520, arch: auditArch},
	} {
		if got := c.run(t, code); got != absent {
			t.Errorf("%+v: got %#x, want %#x", c, got, uint32(absent))
		}
	}
}

// The filter decides gizmo's frequent calls by their number alone. For these newer kernels do not even run the filter, and older ones
// find the rule in a few steps.
func TestHotCallsAreDecidedByNumber(t *testing.T) {
	t.Parallel()
	calls := callsOf(Needs{Maps: true}, self)
	for _, n := range []uint32{
		unix.SYS_READ, unix.SYS_WRITE, unix.SYS_FUTEX, unix.SYS_NANOSLEEP, unix.SYS_EPOLL_PWAIT, unix.SYS_PPOLL, unix.SYS_SCHED_YIELD,
		unix.SYS_GETPID, unix.SYS_PREAD64, unix.SYS_CLOSE, unix.SYS_FCNTL, unix.SYS_SENDMSG,
	} {
		if calls[n] != nil {
			t.Errorf("call %d has a rule of its own", n)
		}
	}
	if n := len(runsOf(calls)); n > 256 {
		t.Errorf("%d runs: more than 8 steps to find one", n)
	}
	raw, err := bpf.Assemble(program(calls))
	if err != nil || len(raw) > 4096 { // BPF_MAXINSNS
		t.Errorf("%d instructions, %v", len(raw), err)
	}
	t.Logf("%d calls in %d runs, %d instructions", len(calls), len(runsOf(calls)), len(raw))
}
