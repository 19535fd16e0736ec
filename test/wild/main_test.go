// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wild

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

var (
	update = flag.Bool("update", false, "rewrite the golden files")
	keep   = flag.String("objects", "", "compile the corpus into this `folder`, and use those that are there")
)

// objects is the folder of the compiled corpus while the tests run.
var objects string

// The test program itself causes the events, under another name.
const workload = "wild-work"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == workload {
		work()
		os.Exit(0)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	flag.Parse()
	err := flag.Set("test.parallel", "16") // runs wait for events most of the time
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if objects = *keep; objects == "" {
		objects, err = os.MkdirTemp("", "gizmo-wild-")
		defer os.RemoveAll(objects)
	} else {
		err = os.MkdirAll(objects, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// work repeats what the gadgets of the corpus observe, until it is killed.
func work() {
	file, err := os.Open("/etc/passwd")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	var buf [64]byte
	for {
		_, _ = os.Open("/nonexistent/wild")
		_, _ = file.ReadAt(buf[:], 0)
		_, _ = file.Read(buf[:])
		_, _ = file.Seek(0, 0)
		_, _, _ = syscall.RawSyscall(unix.SYS_GETPGID, 4242, 0, 0)
		_ = unix.Kill(os.Getpid(), unix.SIGURG)
		_ = exec.Command("/bin/true", "one", "two").Run()
		_ = exec.Command("/bin/ls", "/").Run()
		time.Sleep(20 * time.Millisecond)
	}
}

// startWork runs the workload until the test ends.
func startWork(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), workload)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// versions are those of clang with which every source must build.
var versions = [...]int{14, 16, 19}

// compilers are the names of those that are here. In CI all must be.
func compilers(t *testing.T) (names []string) {
	t.Helper()
	for _, v := range versions {
		names = append(names, fmt.Sprint("clang-", v))
	}
	if *keep != "" {
		return names // they were here when the objects were made
	}
	var found []string
	for _, name := range names {
		if _, err := exec.LookPath(name); err == nil {
			found = append(found, name)
		} else if os.Getenv("CI") == "true" {
			t.Errorf("%s is not installed", name)
		}
	}
	if len(found) == 0 {
		kerneltest.Missing(t, "none of %v is installed", names)
	}
	return found
}
