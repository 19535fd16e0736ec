// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

type unixIDMap = syscall.SysProcIDMap

// comm is the name of threads whose checks count.
const comm = "cap-workload"

// thread is one thread of the system with the checks that it caused. It is for a function that has it
// for itself: what it does to the thread's rights ends with it.
type thread struct {
	proc   Proc
	userns uint64
	events []Event
}

// onThread runs do on a thread of its own, which is not used for anything else afterwards.
func onThread(do func(*thread) error) ([]Event, error) {
	t := &thread{}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := t.describe()
		if err == nil {
			err = do(t)
		}
		done <- err
	}()
	err := <-done
	return t.events, err
}

func (t *thread) describe() error {
	t.proc = Proc{
		Comm:   comm,
		PID:    os.Getpid(),
		TID:    unix.Gettid(),
		Creds:  Creds{UID: os.Getuid(), GID: os.Getgid()},
		Parent: Parent{PID: os.Getppid()},
	}
	var err error
	if t.proc.MntnsID, err = inode("/proc/thread-self/ns/mnt"); err != nil {
		return err
	}
	t.userns, err = inode("/proc/thread-self/ns/user")
	return err
}

func inode(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("inode of %s: %w", path, err)
	}
	return st.Ino, nil
}

// do makes calls and lists their checks. What may not be has none of the capabilities that count
// there; else it has those that root has on this machine.
func (t *thread) do(may bool, list ...*call) error {
	before, err := t.effective()
	if err != nil {
		return err
	}
	makeAll(nil)
	name, old := [16]byte{}, [16]byte{}
	copy(name[:], comm)
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_GET_NAME, uintptr(unsafe.Pointer(&old)), 0)
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name)), 0)
	makeAll(list)
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&old)), 0)
	for _, c := range list {
		has := may && before&(1<<c.cap.number) != 0
		if err := c.asExpected(has); err != nil {
			return err
		}
		t.list(c, has, before)
	}
	return nil
}

func (t *thread) list(c *call, has bool, effective uint64) {
	e := Event{
		Proc: t.proc, Cap: c.cap.name, CapRaw: c.cap.number, Capable: has,
		CapEffectiveRaw: effective, CurrentUserns: t.userns, TargetUserns: c.target,
		Syscall: c.name, SyscallRaw: uint64(c.number),
	}
	if e.TargetUserns == 0 {
		e.TargetUserns = t.userns
	}
	if tellsKind() {
		e.Audit, e.InSetID = &c.audit, &c.insetid
	}
	t.events = append(t.events, e)
}

// tellsKind reports whether it is sure that the gadget knows the kind of a check. Since Linux 6.15 it
// may run where it does not.
func tellsKind() bool {
	var name unix.Utsname
	var major, minor int
	if unix.Uname(&name) != nil {
		return false
	}
	fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	return major < 6 || major == 6 && minor < 15
}

// capabilities returns those of the thread in the form that capset takes.
func (t *thread) capabilities() (*unix.CapUserHeader, *[2]unix.CapUserData, error) {
	header, data := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &[2]unix.CapUserData{}
	if err := unix.Capget(header, &data[0]); err != nil {
		return nil, nil, fmt.Errorf("read the capabilities: %w", err)
	}
	return header, data, nil
}

func (t *thread) effective() (uint64, error) {
	_, data, err := t.capabilities()
	if err != nil {
		return 0, err
	}
	return uint64(data[1].Effective)<<32 | uint64(data[0].Effective), nil
}

// becomeNobody gives up the rights of root for this thread only.
func (t *thread) becomeNobody() error {
	const nobody = 65534
	for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
		if _, _, errno := unix.RawSyscall(call, nobody, nobody, nobody); errno != 0 {
			return fmt.Errorf("become nobody: %w", errno)
		}
	}
	t.proc.Creds = Creds{UID: nobody, GID: nobody}
	return nil
}
