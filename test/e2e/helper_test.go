// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// helperMode is the environment variable that makes the test program a helper.
const helperMode = "GIZMO_E2E_HELPER"

// The modes of the helper. Openers, storms, hogs, steppers and containers work on command; the others prepare the process
// and then become the program that the arguments name.
const (
	helperOpener           = "opener"
	helperStorm            = "storm"
	helperHog              = "hog"
	helperStepper          = "stepper"
	helperContainer        = "container"
	helperDropCapabilities = "drop-capabilities"
	helperHideLibbpf       = "hide-libbpf"
	helperHideBTF          = "hide-btf"
	helperHideProc         = "hide-proc"
	helperHideSys          = "hide-sys"
	helperForbidSeccomp    = "forbid-seccomp"
	helperLockLittle       = "lock-little"
	// also without the right to lift the limit
	helperLockLittleForGood = "lock-little-for-good"
)

func helper(mode string, args []string) int {
	var err error
	switch mode {
	case helperOpener:
		err = openOnCommand(os.Stdin, os.Stdout)
	case helperStorm:
		err = stormOnCommand(os.Stdin, os.Stdout, os.Stderr)
	case helperHog:
		err = holdMemory(os.Stdin, os.Stdout)
	case helperStepper:
		err = stepOnCommand(os.Stdin, os.Stdout)
	case helperContainer:
		err = liveInContainer(args, os.Stdin, os.Stdout)
	case helperBurn:
		err = burn(args)
	case helperDropCapabilities:
		err = become(args, dropCapabilities)
	case helperHideLibbpf:
		err = become(args, hideLibbpf)
	case helperHideBTF:
		err = become(args, func() error { return unix.Mount("none", "/sys/kernel/btf", "tmpfs", 0, "") })
	case helperHideProc:
		err = become(args, func() error { return unix.Mount("none", "/proc", "tmpfs", 0, "") })
	case helperHideSys:
		err = become(args, func() error { return unix.Mount("none", "/sys", "tmpfs", 0, "") })
	case helperForbidSeccomp:
		err = become(args, forbidSeccomp)
	case helperLockLittle:
		err = become(args, lockLittle)
	case helperLockLittleForGood:
		err = become(args, func() error { return errors.Join(lockLittle(), drop(unix.CAP_SYS_RESOURCE)) })
	default:
		err = fmt.Errorf("unknown mode %q", mode)
	}
	fmt.Fprintln(os.Stderr, "helper:", err)
	return 99
}

// become turns the process into another program, prepared in its thread.
func become(argv []string, prepare func() error) error {
	runtime.LockOSThread()
	if err := prepare(); err != nil {
		return err
	}
	if err := os.Unsetenv(helperMode); err != nil {
		return err
	}
	return unix.Exec(argv[0], argv, os.Environ())
}

// dropCapabilities leaves root without any privilege from the next exec on.
func dropCapabilities() error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if err := drop(c); err != nil {
			return err
		}
	}
	return nil
}

// drop leaves root without a capability from the next exec on.
func drop(capability uintptr) error {
	if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
		return fmt.Errorf("drop capability %d: %w", capability, err)
	}
	return nil
}

// lockLittle limits how much memory the process may lock.
func lockLittle() error {
	return unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 64 << 10, Max: 64 << 10})
}

// forbidSeccomp has the kernel refuse filters of system calls, as the managers of some containers do: by such a filter.
func forbidSeccomp() error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SECCOMP, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
}

// hideLibbpf covers libbpf's headers. The process has mounts of its own.
func hideLibbpf() error {
	for _, dir := range []string{"/usr/include/bpf", "/usr/local/include/bpf"} {
		err := unix.Mount("none", dir, "tmpfs", 0, "")
		if err != nil && err != unix.ENOENT {
			return fmt.Errorf("hide %s: %w", dir, err)
		}
	}
	return nil
}

// serve carries out commands: for each line "NUMBER WORD" it calls do, and then says that it is done.
func serve(in io.Reader, out io.Writer, do func(n int, word string)) error {
	commands := bufio.NewScanner(in)
	for commands.Scan() {
		number, word, _ := strings.Cut(commands.Text(), " ")
		n, err := strconv.Atoi(number)
		if err != nil {
			return err
		}
		do(n, word)
		fmt.Fprintln(out, "done")
	}
	return commands.Err()
}

// openOnCommand opens files: for each command "COUNT PATH" it opens PATH COUNT times. It opens nothing else,
// because it uses only system calls of one thread.
func openOnCommand(in io.Reader, out io.Writer) error {
	runtime.LockOSThread()
	return serve(in, out, func(n int, path string) {
		for range n {
			openAndClose(path)
		}
	})
}

func openAndClose(path string) {
	if fd, err := unix.Open(path, unix.O_RDONLY, 0); err == nil {
		unix.Close(fd)
	}
}

// opener is a process that opens files on command and does nothing else.
type opener struct {
	*process
	commands *os.File
	done     int
}

func startOpener(t testing.TB) *opener {
	t.Helper()
	return startOnCommand(t, helperOpener)
}

// startOnCommand starts a helper that takes commands as an opener does.
func startOnCommand(t testing.TB, mode string) *opener {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	t.Cleanup(func() { w.Close() })
	o := &opener{commands: w}
	o.process = startProgram(t, withHelper(setup{helper: mode, in: r}), []string{os.Args[0]})
	o.open(t, 0, "/") // once it answers it has started
	return o
}

// pid returns the opener's process id as text.
func (o *opener) pid() string { return strconv.Itoa(o.cmd.Process.Pid) }

// begin lets the opener open the path n times.
func (o *opener) begin(t testing.TB, n int, path string) {
	t.Helper()
	if _, err := fmt.Fprintf(o.commands, "%d %s\n", n, path); err != nil {
		t.Fatal(err)
	}
	o.done++
}

// open is begin, and waits until it is done.
func (o *opener) open(t testing.TB, n int, path string) {
	t.Helper()
	o.begin(t, n, path)
	eventually(t, "opened the file", func() bool { return o.out.Len() == o.done*len("done\n") })
}
