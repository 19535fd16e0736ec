// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// TestFileModeAgainstStat makes files with all permissions and compares with the output of stat(1).
func TestFileModeAgainstStat(t *testing.T) {
	t.Parallel()
	stat, err := exec.LookPath("stat")
	if err != nil {
		needs(t, "stat(1)", err)
	}
	dir := t.TempDir()
	args := []string{"-c", "%f %A"}
	for mode := range uint32(0o10000) {
		path := filepath.Join(dir, fmt.Sprintf("%04o", mode))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	// Files of other kinds, which any user can make or has.
	args = append(args, dir, "/dev/null", makeFIFO(t, dir), makeLink(t, dir))
	out, err := exec.Command(stat, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 0o10000+4 {
		t.Fatalf("stat wrote %d lines", len(lines))
	}
	for _, line := range lines {
		var mode uint64
		var want string
		if _, err := fmt.Sscanf(line, "%x %s", &mode, &want); err != nil {
			t.Fatal(err)
		}
		if got := string(appendFileMode(nil, mode)); got != want {
			t.Errorf("%o reads %q, want %q", mode, got, want)
		}
	}
}

func makeFIFO(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func makeLink(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "link")
	if err := os.Symlink("nowhere", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// needs skips a test if something is missing, but not where everything must be available.
func needs(t *testing.T, what string, err error) {
	t.Helper()
	kerneltest.Missing(t, "%s is missing: %v", what, err)
}

func TestFileMode(t *testing.T) {
	t.Parallel()
	for mode, want := range map[uint64]string{
		0:                     "----------",
		0o644:                 "-rw-r--r--", // as open(2) takes it
		0o100644:              "-rw-r--r--",
		0o40755:               "drwxr-xr-x",
		0o41777:               "drwxrwxrwt",
		0o104755:              "-rwsr-xr-x",
		0o107000:              "---S--S--T",
		0o60660:               "brw-rw----",
		0o140777:              "srwxrwxrwx",
		0o170000:              "?---------",
		0xffff0000 | 0o100600: "-rw-------",
	} {
		if got := unsigned(t, "gadget_file_mode", 4, testEnv(), mode); got != want {
			t.Errorf("%o reads %q, want %q", mode, got, want)
		}
	}
}

func TestFileFlags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		arch  string
		flags uint64
		want  string
	}{
		{"amd64", 0, "O_RDONLY"},
		{"amd64", 577, "O_WRONLY|O_CREAT|O_TRUNC"},
		{"amd64", 2, "O_RDWR"},
		{"amd64", 3, "O_ACCMODE"},
		{"amd64", 0x8000, "O_RDONLY|O_LARGEFILE"},
		{"amd64", 0x98800, "O_RDONLY|O_NONBLOCK|O_LARGEFILE|O_DIRECTORY|O_CLOEXEC"},
		{"amd64", 0x1001, "O_WRONLY|O_DSYNC"},
		{"amd64", 0x101001, "O_WRONLY|O_SYNC"},
		{"amd64", 0x100001, "O_WRONLY|0x100000"},
		{"amd64", 0x410002, "O_RDWR|O_TMPFILE"},
		{"amd64", 0x400002, "O_RDWR|0x400000"},
		{"amd64", 0x511041, "O_WRONLY|O_SYNC|O_TMPFILE|O_CREAT"},
		{"amd64", 0x80000020, "O_RDONLY|0x80000020"},
		{"amd64", 0x34000, "O_RDONLY|O_DIRECT|O_DIRECTORY|O_NOFOLLOW"},
		{"arm64", 0x34000, "O_RDONLY|O_DIRECTORY|O_DIRECT|O_LARGEFILE"},
		{"arm64", 0x8000, "O_RDONLY|O_NOFOLLOW"},
		{"arm64", 0x404002, "O_RDWR|O_TMPFILE"},
		{"386", 0x8000, "O_RDONLY|O_LARGEFILE"},
		{"arm", 0x20000, "O_RDONLY|O_LARGEFILE"},
		{"riscv64", 0x4000, "O_RDONLY|O_DIRECT"},
	} {
		env := testEnv()
		env.Arch = tt.arch
		if got := unsigned(t, "gadget_file_flags", 4, env, tt.flags); got != tt.want {
			t.Errorf("%#x on %s reads %q, want %q", tt.flags, tt.arch, got, tt.want)
		}
	}
}

// TestFileFlagsAgainstKernel opens files and compares with the flags that the kernel keeps.
func TestFileFlagsAgainstKernel(t *testing.T) {
	t.Parallel()
	env := testEnv()
	env.Arch = runtime.GOARCH
	for flags, want := range map[int]string{
		unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW: "O_RDONLY|O_DIRECTORY|O_NOFOLLOW",
		unix.O_RDONLY | unix.O_NOATIME:                     "O_RDONLY|O_NOATIME",
		unix.O_RDONLY | unix.O_NONBLOCK:                    "O_RDONLY|O_NONBLOCK",
		unix.O_PATH | unix.O_DIRECTORY:                     "O_RDONLY|O_DIRECTORY|O_PATH",
	} {
		fd, err := unix.Open(t.TempDir(), flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		unix.Close(fd)
		if err != nil {
			t.Fatal(err)
		}
		text := unsigned(t, "gadget_file_flags", 4, env, uint64(got))
		// The kernel sets it by itself, and some sandboxes do not.
		text = strings.Replace(text, "|O_LARGEFILE", "", 1)
		if !sameNames(text, want) {
			t.Errorf("%#x reads %q, want %q", got, text, want)
		}
	}
}

func sameNames(a, b string) bool {
	names := strings.Split(a, "|")
	if len(names) != strings.Count(b, "|")+1 {
		return false
	}
	for _, n := range names {
		if !strings.Contains("|"+b+"|", "|"+n+"|") {
			return false
		}
	}
	return true
}
