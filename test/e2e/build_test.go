// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// waitingClang makes a compiler that begins to write and then waits, once it has put the numbers of its two
// processes into a file, whose path is returned, too.
func waitingClang(t *testing.T) (clang, started string) {
	t.Helper()
	dir := t.TempDir()
	clang, started = filepath.Join(dir, "clang"), filepath.Join(dir, "started")
	script := `#!/bin/sh
[ "$1" = --version ] && { echo clang version 19.1.0; exit; }
for last; do :; done
echo half >"$last"
echo crash >"$TMPDIR/program-crash.c"
sleep 60 &
echo $$ $! >'` + started + `.new'
mv '` + started + `.new' '` + started + `'
wait
`
	kerneltest.WriteProgram(t, clang, []byte(script))
	return clang, started
}

// filesBelow lists the files and folders below some folders.
func filesBelow(t *testing.T, dirs ...string) []string {
	t.Helper()
	var paths []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if path != dir {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return paths
}

// However a build ends, it leaves no file and no process. If gizmo itself is killed, it cannot clean up; the
// next build removes the remains.
func TestInterruptedBuild(t *testing.T) {
	dir := goodGadget(t)
	cache, temp := t.TempDir(), t.TempDir()
	work := filepath.Join(cache, "gizmo", "work")
	env := []string{"XDG_CACHE_HOME=" + cache, "TMPDIR=" + temp}
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGKILL} {
		t.Run(s.String(), func(t *testing.T) {
			clang, started := waitingClang(t)
			object := filepath.Join(dir, "out.o")
			g := start(t, setup{env: append(env, "CLANG="+clang)}, "image", "build", dir, "--object", object)
			eventually(t, "the compiler runs", func() bool { _, err := os.Stat(started); return err == nil })
			text, err := os.ReadFile(started)
			if err != nil {
				t.Fatal(err)
			}
			pids := strings.Fields(string(text))
			t.Cleanup(func() { endProcess(t, pids[1]) })
			g.signal(t, s)
			if code := g.wait(t); code == 0 {
				t.Error("exit code 0")
			}
			g.wantNoOut(t)
			eventually(t, "the compiler has ended", func() bool { return kerneltest.HasEnded(t, pids[0]) })
			if _, err := os.Lstat(object); err == nil {
				t.Error("there is an object")
			}
			if s == syscall.SIGKILL {
				if left := filesBelow(t, work, temp); len(left) == 0 {
					t.Error("nothing is left for the next build to remove")
				}
				return
			}
			g.wantErr(t, "gizmo: building "+dir+"/program.bpf.c was interrupted: context canceled\n")
			eventually(t, "what the compiler started has ended", func() bool { return kerneltest.HasEnded(t, pids[1]) })
			if left := filesBelow(t, work, temp); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
	run(t, setup{env: env}, "image", "build", dir).wantExit(t, 0)
	if left := filesBelow(t, work, temp); len(left) > 0 {
		t.Errorf("left behind after the next build: %q", left)
	}
}

// endProcess kills a process that a test's program started, if it still runs.
func endProcess(t *testing.T, pid string) {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err == nil && !kerneltest.HasEnded(t, pid) {
		err = syscall.Kill(n, syscall.SIGKILL)
	}
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Error(err)
	}
}

// A program that nohup started does not end with the terminal.
func TestNohup(t *testing.T) {
	dir := goodGadget(t)
	clang, started := waitingClang(t)
	g := startProgram(t, setup{env: []string{"XDG_CACHE_HOME=" + t.TempDir(), "CLANG=" + clang}},
		[]string{"/bin/sh", "-c", `trap "" HUP; exec "$@"`, "sh", gizmoPath, "image", "build", dir})
	eventually(t, "the compiler runs", func() bool { _, err := os.Stat(started); return err == nil })
	const hup = 1 << (syscall.SIGHUP - 1)
	if ignored := signalMask(t, g.cmd.Process.Pid, "SigIgn"); ignored&hup == 0 {
		t.Errorf("the signals that gizmo ignores are %#x", ignored)
	}
	g.signal(t, syscall.SIGTERM)
	g.wantExit(t, 1)
}

// signalMask returns a set of signals from the status of a process.
func signalMask(t *testing.T, pid int, name string) uint64 {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "\n"+name+":")
	text, _, _ := strings.Cut(rest, "\n")
	mask, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return mask
}

// A user whose cache folder cannot be used builds without a cache, and gizmo warns about it.
func TestBuildWithoutCache(t *testing.T) {
	kerneltest.RequireRoot(t)
	root, err := os.MkdirTemp("", "gizmo-e2e-") // only root could read a folder of t.TempDir
	if err == nil {
		t.Cleanup(func() { os.RemoveAll(root) })
		err = os.Chmod(root, 0o755)
	}
	dir, cache := filepath.Join(root, "good"), filepath.Join(root, "cache")
	for _, folder := range []string{dir, cache} {
		if err == nil {
			err = os.Mkdir(folder, 0o755)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	addGoodProgram(t, dir)
	g := run(t, setup{user: nobody, env: []string{"XDG_CACHE_HOME=" + cache, "TMPDIR=/tmp"}}, "image", "build", dir)
	g.wantExit(t, 0)
	if want := "gizmo: warning: building without a cache: "; !strings.HasPrefix(g.err.String(), want) || !strings.Contains(g.err.String(), cache) {
		t.Errorf("standard error: %q, want %q and the folder", g.err.String(), want)
	}
	if left := filesBelow(t, cache); len(left) > 0 {
		t.Errorf("in the cache: %q", left)
	}
}
