// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

// slowClang makes a compiler that writes to its output and to its folder for temporary files, starts another
// process, writes the ids of both to the file started, and then runs the commands in then.
func (b *bench) slowClang(started, then string) string {
	b.Helper()
	real, err := realTools()
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "clang")
	script := `#!/bin/sh
[ "$1" = --version ] && exec ` + real.clang.Path + ` --version
for last; do :; done
[ "$last" = - ] || echo half >"$last"
echo crash >"$TMPDIR/program-crash.c"
sleep 60 &
echo $$ $! >'` + started + `.new'
mv '` + started + `.new' '` + started + `'
` + then + "\n"
	kerneltest.WriteProgram(b, path, []byte(script))
	return path
}

// await returns the text of a file as soon as it is there.
func await(t testing.TB, path string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if text, err := os.ReadFile(path); err == nil {
			return string(text)
		}
	}
	t.Fatalf("%s did not come to be", path)
	return ""
}

func awaitGone(t testing.TB, what, pid string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !kerneltest.HasEnded(t, pid); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s still runs", what)
		}
	}
}

// leftovers lists the folders of builds, of those in the cache and those among the temporary files.
func leftovers(t testing.TB, b *bench, temp string) []string {
	t.Helper()
	inCache, err := filepath.Glob(b.o.Cache + "/work/*")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := filepath.Glob(temp + "/*")
	if err != nil {
		t.Fatal(err)
	}
	return append(inCache, elsewhere...)
}

// However a build ends before its time, it leaves no file and no process.
func TestInterruptedLeavesNothing(t *testing.T) {
	for _, c := range []struct {
		name, then string // what the compiler does
		cancel     bool
		want       string
	}{
		{"interrupted", "wait", true, "was interrupted: context canceled"},
		{"interrupted, and the compiler fails", "trap 'exit 1' TERM INT; wait", true, "was interrupted: context canceled"},
		{"killed", "kill -9 $!; kill -9 $$", false, "did not finish: signal: killed"},
		{"fails", "kill -9 $!; echo 'program.bpf.c:1:1: error: none' >&2; exit 1", false, "program.bpf.c:1:1: error: none"},
	} {
		for _, cached := range []bool{true, false} {
			name := c.name
			if !cached {
				name += ", without a cache"
			}
			t.Run(name, func(t *testing.T) {
				b := newBench(t)
				temp, started := t.TempDir(), filepath.Join(t.TempDir(), "started")
				t.Setenv("TMPDIR", temp)
				if !cached {
					b.o.Cache = b.runs
					files{filepath.Base(b.runs): "no folder"}.write(t, filepath.Dir(b.runs))
				}
				b.o.Clang = b.slowClang(started, c.then)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan error)
				go func() {
					_, err := Dir(ctx, b.gadget, &b.o)
					ended <- err
				}()
				pids := strings.Fields(await(t, started))
				if c.cancel {
					if len(leftovers(t, b, temp)) != 1 {
						t.Error("a build that runs has no folder, or not where the test looks")
					}
					cancel()
				}
				if err := <-ended; err == nil || !strings.Contains(err.Error(), c.want) || c.cancel != errors.Is(err, context.Canceled) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				if left := leftovers(t, b, temp); len(left) > 0 {
					t.Errorf("left behind: %q\n%s", left, b.log.String())
				}
				for _, pid := range pids {
					awaitGone(t, "process "+pid, pid)
				}
			})
		}
	}
}

// building starts another process that builds b's gadget.
func (b *bench) building() *exec.Cmd {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperGadget+"="+b.gadget, helperCache+"="+b.o.Cache,
		helperInclude+"="+b.o.Include, "CLANG="+b.o.Clang)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended, if all went well
		_ = cmd.Wait()
	})
	return cmd
}

// The next build removes the files of a killed build. A build that runs keeps its folder, and succeeds.
func TestKilledBuild(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dir := t.TempDir()
	good := b.o.Clang
	victim := filepath.Join(dir, "victim")
	b.o.Clang = b.slowClang(victim, "wait")
	killed := b.building()
	compiler := strings.Fields(await(t, victim))
	defer func() {
		pid, err := strconv.Atoi(compiler[1])
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err != nil {
			t.Error(err)
		}
	}()
	dead := leftovers(t, b, dir+"/none")

	other := filepath.Join(dir, "other")
	b.o.Clang = b.slowClang(other, "kill $!\nwhile ! [ -e '"+dir+"/go' ]; do sleep 0.01; done\nexec "+good+` "$@"`)
	running := b.building()
	await(t, other)
	if all := leftovers(t, b, dir+"/none"); len(dead) != 1 || len(all) != 2 {
		t.Fatalf("folders of builds that run: %q, then %q", dead, all)
	}

	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait() // of course it was killed
	awaitGone(t, "the compiler of the killed build", compiler[0])
	if _, err := os.Stat(dead[0] + "/program.bc"); err != nil {
		t.Fatalf("the killed build left nothing: %v", err)
	}
	b.o.Clang = good
	files{"local.h": "#define LOCAL 2\n"}.write(t, b.gadget)
	b.build()
	if left := leftovers(t, b, dir+"/none"); len(left) != 1 || left[0] == dead[0] {
		t.Errorf("left: %q; of the killed build is %q\n%s", left, dead, b.log.String())
	}
	files{"go": ""}.write(t, dir)
	if err := running.Wait(); err != nil {
		t.Errorf("the build that ran meanwhile: %v", err)
	}
	if left := leftovers(t, b, dir+"/none"); len(left) > 0 {
		t.Errorf("left in the end: %q", left)
	}
}

// Only what is surely left over is removed.
func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	then := time.Now().Add(-2 * newAge)
	gone := []string{workPrefix + "dead", newPrefix + "dead"}
	stay := []string{newPrefix + "fresh", workPrefix + "locked", workPrefix + "file", workPrefix + "link", "another"}
	for _, name := range append(gone, stay[0], stay[1], stay[4]) {
		files{name + "/include/x.h": "x"}.write(t, dir)
	}
	files{workPrefix + "file": "x"}.write(t, dir)
	if err := os.Symlink("another", filepath.Join(dir, workPrefix+"link")); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		stay = append(stay, workPrefix+"theirs")
		files{workPrefix + "theirs/x": "x"}.write(t, dir)
		if err := os.Chown(filepath.Join(dir, workPrefix+"theirs"), 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(filepath.Join(dir, newPrefix+"dead"), then, then); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, workPrefix+"locked"))
	if err == nil {
		defer f.Close()
		err = lock(f)
	}
	if err != nil {
		t.Fatal(err)
	}
	parent, err := safefile.TempFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	sweep(parent, t.Logf)
	for _, name := range gone {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	for _, name := range stay {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "another/include/x.h")); err != nil {
		t.Errorf("what a link points to: %v", err)
	}
}

// The folder of a build cannot be guessed, and is for this user only.
func TestWorkIsPrivate(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	w, err := newWork(cache{say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	defer w.remove()
	if st, err := os.Stat(w.Path); err != nil || st.Mode() != os.ModeDir|privateDir || len(filepath.Base(w.Path)) != len(workPrefix)+32 {
		t.Errorf("%s: %v, %v", w.Path, st.Mode(), err)
	}
}

// A folder for temporary files that another user controls is not used.
func TestTempOfAnotherUser(t *testing.T) {
	kerneltest.RequireRoot(t)
	theirs := t.TempDir()
	if err := os.Chown(theirs, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", theirs)
	w, err := newWork(cache{say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	defer w.remove()
	if w.parent.Path != "/tmp" {
		t.Errorf("it is in %s", w.parent.Path)
	}
}
