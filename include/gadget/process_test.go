// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// process is struct gadget_process; it has no padding in C either.
type process struct {
	Comm                 [16]byte
	PID, TID             uint32
	MntnsID              uint64
	UID, GID             uint32
	ParentComm           [16]byte
	ParentPID, ParentTID uint32
}

// ownMntns is the inode of the present thread's mount namespace.
func ownMntns(t *testing.T) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/mnt", &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// self describes the current thread by /proc and system calls. Only the kernel
// knows which thread of the parent process is the parent: self takes it from
// got, if the parent process has such a thread.
func self(t *testing.T, comm string, got process) process {
	t.Helper()
	task := fmt.Sprintf("/proc/%d/task/%d/comm", os.Getppid(), got.ParentTID)
	parent, err := os.ReadFile(task)
	if err != nil {
		t.Errorf("the parent has no thread %d: %v", got.ParentTID, err)
	}
	return process{
		Comm: cstring(comm),
		PID:  uint32(os.Getpid()), TID: uint32(unix.Gettid()),
		MntnsID: ownMntns(t),
		UID:     uint32(os.Getuid()), GID: uint32(os.Getgid()),
		ParentComm: cstring(strings.TrimSuffix(string(parent), "\n")),
		ParentPID:  uint32(os.Getppid()), ParentTID: got.ParentTID,
	}
}

// setComm names the present thread.
func setComm(t *testing.T, name string) {
	t.Helper()
	b := append([]byte(name), 0)
	_, _, e := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0)
	if e != 0 {
		t.Fatal(e)
	}
}

func populated(t *testing.T, coll *ebpf.Collection, prog string) (p process) {
	t.Helper()
	if run(t, coll.Programs[prog]) != 0 {
		t.Fatal(prog, "found no map")
	}
	if err := coll.Maps["process"].Lookup(uint32(0), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

var populates = []string{"populate", "populate_old", "populate_stack"}

// Every byte of the struct is compared, and the program has poisoned them all.
func TestProcessPopulate(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "process"), nil)
	names := []string{"fifteen-chars-x", "x", "exactly8", "seven77", "nine99999", "", "ümläut"}

	for _, prog := range populates {
		t.Run(prog, func(t *testing.T) {
			onOwnThread(func() {
				for _, name := range names {
					setComm(t, name)
					got := populated(t, coll, prog)
					if want := self(t, name, got); got != want {
						t.Errorf("%q:\n got %+v\nwant %+v", name, got, want)
					}
				}
			})
		})
	}
}

func TestProcessPopulateIDs(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "process"), nil)
	const uid, gid = 1234, 4321

	for _, prog := range populates {
		t.Run(prog, func(t *testing.T) {
			onOwnThread(func() {
				// The real ids of this thread only, as the raw calls do.
				keep := ^uintptr(0)
				if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, gid, keep, keep); e != 0 {
					t.Fatal(e)
				}
				if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uid, keep, keep); e != 0 {
					t.Fatal(e)
				}
				if p := populated(t, coll, prog); p.UID != uid || p.GID != gid {
					t.Errorf("uid %d gid %d, want %d %d", p.UID, p.GID, uid, gid)
				}
			})
		})
	}
}

// The bytes of a longer, older name after the end of a shorter one must not reach the record.
func TestCopyComm(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "process"), nil)

	for length := range 17 {
		// Bytes on which borrows between them would show: 0x01 after 0x00.
		for _, junk := range []byte{0x01, 0x7f, 0x80, 0xff, 'x'} {
			var from, want [16]byte
			for i := range from {
				from[i] = junk
			}
			copy(want[:], strings.Repeat("\x81", length))
			copy(from[:], want[:min(length+1, 16)])

			run(t, coll.Programs["copy_comm"],
				binary.LittleEndian.Uint64(from[:8]), binary.LittleEndian.Uint64(from[8:]))
			var p process
			if err := coll.Maps["process"].Lookup(uint32(0), &p); err != nil {
				t.Fatal(err)
			}
			if p.Comm != want {
				t.Errorf("% x became % x", from, p.Comm)
			}
		}
	}
}

// mntnsFrom is the id that a program has put into its map.
func mntnsFrom(t *testing.T, coll *ebpf.Collection, prog string) (id uint64) {
	t.Helper()
	run(t, coll.Programs[prog])
	if err := coll.Maps["mntns"].Lookup(uint32(0), &id); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestMntnsID(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "process"), nil)

	check := func(t *testing.T, prog string) uint64 {
		got := mntnsFrom(t, coll, prog)
		if want := ownMntns(t); got != want {
			t.Errorf("%s: %d, want %d", prog, got, want)
		}
		return got
	}
	for _, prog := range []string{"current_mntns", "older_mntns"} {
		t.Run(prog, func(t *testing.T) {
			onOwnThread(func() {
				before := check(t, prog)
				if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
					t.Error(err)
					return
				}
				if check(t, prog) == before {
					t.Error("unshared, but the id is the same")
				}
			})
		})
	}
}

// A thread that still has its namespaces is in its current mount namespace, whatever id was kept. For threads that
// have released their namespaces see the live tests of trace_signal and trace_tcp.
func TestProcessPopulateExiting(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "process"), nil)
	onOwnThread(func() {
		run(t, coll.Programs["keep_mntns"])
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			t.Error(err)
			return
		}
		got, want := populated(t, coll, "populate_exiting"), populated(t, coll, "populate")
		if got != want || got.MntnsID != ownMntns(t) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// The kept id stays when the thread's namespaces change, and other threads do not see it.
func TestKeptMntnsID(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "process"), nil)
	onOwnThread(func() {
		before := ownMntns(t)
		run(t, coll.Programs["keep_mntns"])
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			t.Error(err)
			return
		}
		if got := mntnsFrom(t, coll, "kept_mntns"); got != before {
			t.Errorf("kept %d, want %d", got, before)
		}
		run(t, coll.Programs["keep_mntns"])
		if got, now := mntnsFrom(t, coll, "kept_mntns"), ownMntns(t); got != now || now == before {
			t.Errorf("kept %d, want %d, not %d", got, now, before)
		}
	})
	onOwnThread(func() {
		if got := mntnsFrom(t, coll, "kept_mntns"); got != 0 {
			t.Errorf("kept %d of another thread", got)
		}
	})
}

// The populated parts of a task in a mount namespace of its own.
func TestProcessPopulateMntns(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "process"), nil)
	for _, prog := range populates {
		onOwnThread(func() {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				t.Error(err)
				return
			}
			if got, want := populated(t, coll, prog).MntnsID, ownMntns(t); got != want {
				t.Errorf("%s: %d, want %d", prog, got, want)
			}
		})
	}
}
