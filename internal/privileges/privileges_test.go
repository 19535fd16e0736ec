// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package privileges

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// childMode is the environment variable that makes the test program a child, because dropped capabilities cannot be regained.
const childMode = "GIZMO_PRIVILEGES_CHILD"

// unsupported is the exit code of a child that was built with cgo.
const unsupported = 77

func TestMain(m *testing.M) {
	mode := os.Getenv(childMode)
	if mode == "" {
		os.Exit(m.Run())
	}
	err := child(mode)
	if errors.Is(err, errors.ErrUnsupported) {
		os.Exit(unsupported)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child runs the mode and checks the capabilities of its threads.
func child(mode string) error {
	release := startThreads(8)
	defer release()
	before, err := threads()
	if err != nil {
		return err
	}
	if len(before) < 8 {
		return fmt.Errorf("%d threads, want 8 at least", len(before))
	}
	switch mode {
	case "all":
		return childDrops()
	case "keep":
		return childDrops(unix.CAP_SYS_PTRACE, unix.CAP_NET_ADMIN)
	case "plain":
		return childWithoutSetpcap()
	}
	return fmt.Errorf("unknown mode %q", mode)
}

func childDrops(keep ...Cap) error {
	for range 2 { // the second time there is nothing left to do
		if err := errors.Join(Drop(keep...), NoNewPrivileges()); err != nil {
			return err
		}
	}
	kept := Of(keep...)
	return wantThreads(map[string]Set{"CapInh": 0, "CapPrm": kept, "CapEff": kept, "CapBnd": kept, "CapAmb": 0, "NoNewPrivs": 1})
}

// childWithoutSetpcap is a process that may not change its bounding set.
func childWithoutSetpcap() error {
	bounding, err := field("/proc/thread-self/status", "CapBnd")
	if err != nil {
		return err
	}
	header, data := request(Of(unix.CAP_SYS_PTRACE), Of(unix.CAP_SYS_PTRACE))
	if err := setAll(&header, &data); err != nil {
		return err
	}
	for range 2 {
		if err := Drop(); !errors.Is(err, ErrBoundingSet) {
			return fmt.Errorf("got %w, want ErrBoundingSet", err)
		}
	}
	return wantThreads(map[string]Set{"CapPrm": 0, "CapEff": 0, "CapBnd": bounding, "NoNewPrivs": 0})
}

// startThreads has n goroutines hold a thread each.
func startThreads(n int) (release func()) {
	end := make(chan struct{})
	var started sync.WaitGroup
	for range n {
		started.Add(1)
		go func() {
			runtime.LockOSThread()
			started.Done()
			<-end
		}()
	}
	started.Wait()
	return func() { close(end) }
}

func threads() ([]string, error) { return filepath.Glob("/proc/self/task/*/status") }

// wantThreads checks the fields of all threads' status.
func wantThreads(want map[string]Set) error {
	all, err := threads()
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range all {
		for name, set := range want {
			got, err := field(path, name)
			if err == nil && got != set {
				err = fmt.Errorf("%s: %s is %x, want %x", path, name, got, set)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func field(path, name string) (Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+":\t"); ok {
			n, err := strconv.ParseUint(value, 16, 64)
			return Set(n), err
		}
	}
	return 0, fmt.Errorf("%s: no %s", path, name)
}

func TestDrop(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, mode := range []string{"all", "keep", "plain"} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childMode+"="+mode)
		out, err := cmd.CombinedOutput()
		switch code := cmd.ProcessState.ExitCode(); {
		case isSupported() && err != nil:
			t.Errorf("%s: %v\n%s", mode, err, out)
		case !isSupported() && code != unsupported:
			t.Errorf("%s: exit code %d in a program with cgo, want %d: %s", mode, code, unsupported, out)
		}
	}
}

// isSupported asks whether this program can change all its threads.
func isSupported() bool {
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_GETPPID, 0, 0, 0)
	return errno == 0
}

func TestTry(t *testing.T) {
	kerneltest.RequireRoot(t)
	var inside Set
	var reading error
	err := Try(func() { inside, reading = field("/proc/thread-self/status", "CapEff") }, unix.CAP_SYS_PTRACE)
	if err := errors.Join(err, reading); err != nil {
		t.Fatal(err)
	}
	if inside != Of(unix.CAP_SYS_PTRACE) {
		t.Errorf("the function had %x", inside)
	}
	if after, permitted, err := own(); err != nil || after != permitted || after&Of(unix.CAP_SETPCAP) == 0 {
		t.Errorf("after: %x of %x, %v", after, permitted, err)
	}
}
