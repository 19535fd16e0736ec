// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pidns

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

const asChild = "GIZMO_TEST_PIDNS_CHILD"

// TestMain is, in a child process, the first process of a pid namespace of its own: it says which number the kernel has for it.
func TestMain(m *testing.M) {
	if os.Getenv(asChild) == "" {
		os.Exit(m.Run())
	}
	ns, err := Own()
	if err == nil {
		var number uint32
		number, err = ns.Thread(uint32(os.Getpid()))
		_, missing := ns.Thread(4_000_000)
		fmt.Println(os.Getpid(), ns.IsInitial(), number, errors.Is(missing, ErrNoTask))
	}
	if err != nil {
		fmt.Println(err)
	}
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // until the test has compared
	os.Exit(0)
}

func TestNumbersInANamespace(t *testing.T) {
	kerneltest.RequireRoot(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), asChild+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("1 false %d true", cmd.Process.Pid); strings.TrimSpace(line) != want {
		t.Errorf("got %q, want %q", line, want)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// Where gizmo usually runs the numbers are the kernel's, and nothing is loaded.
func TestNumbersOutside(t *testing.T) {
	t.Parallel()
	ns, err := Own()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ns.Thread(12345); ns.IsInitial() && (err != nil || got != 12345) {
		t.Errorf("got %d, %v", got, err)
	}
	if ns.inode == 0 {
		t.Error(strconv.Itoa(int(ns.inode)))
	}
}
