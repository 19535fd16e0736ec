// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// patience is how long a busy machine may take for anything.
const patience = 60 * time.Second

// bed is a folder with daemons.
type bed struct {
	dir     string
	daemons []*daemon
	absent  []string // files that daemons make outside of the folder, and that did not exist before
	// group is the control group of the daemons; nil: that of the test.
	group *os.File
}

// newBed returns a bed for daemons that need some programs. When the test ends nothing of it may be left.
func newBed(t testing.TB, programs ...string) *bed {
	t.Helper()
	kerneltest.RequireRoot(t)
	for _, name := range programs {
		kerneltest.RequireProgram(t, name)
	}
	dir, err := os.MkdirTemp("", "gizmo") // short, since paths of sockets are below it
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{dir: dir}
	for _, path := range outside() {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			b.absent = append(b.absent, path)
		}
	}
	b.makeGroup(t)
	t.Cleanup(func() { b.close(t) })
	return b
}

// makeGroup makes a control group for daemons where all controllers are in one hierarchy: podman moves the processes of its group
// to another one, if that is the root.
func (b *bed) makeGroup(t testing.TB) {
	t.Helper()
	const root = "/sys/fs/cgroup"
	if _, err := os.Stat(root + "/cgroup.controllers"); err != nil {
		return
	}
	path := filepath.Join(root, filepath.Base(b.dir))
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.group, err = os.Open(path); err != nil {
		t.Fatal(err)
	}
}

// removeGroup removes the control group with those that daemons have made in it.
func (b *bed) removeGroup() error {
	if b.group == nil {
		return nil
	}
	defer b.group.Close()
	var groups []string
	err := filepath.WalkDir(b.group.Name(), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			groups = append(groups, path)
		}
		return err
	})
	for _, path := range slices.Backward(groups) {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// outside returns where daemons leave folders whatever their configuration says.
func outside() []string {
	paths := []string{"/etc/docker", "/run/containerd", "/run/runc", "/run/containers", "/run/netns", "/var/lib/containers"}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 && strings.HasPrefix(f[2], "cgroup") {
			paths = append(paths, f[1]+"/docker", f[1]+"/libpod_parent")
		}
	}
	return paths
}

func (b *bed) path(name ...string) string { return filepath.Join(append([]string{b.dir}, name...)...) }

func (b *bed) write(t testing.TB, name, text string, mode fs.FileMode) string {
	t.Helper()
	kerneltest.WriteProgram(t, b.path(name), []byte(text))
	if err := os.Chmod(b.path(name), mode); err != nil {
		t.Fatal(err)
	}
	return b.path(name)
}

// daemon is a process that runs until it is stopped.
type daemon struct {
	group *os.File
	log   string
	args  []string
	env   []string
	cmd   *exec.Cmd
	done  chan struct{} // closed when it has ended
}

// spawn starts a daemon and waits until it is ready.
func (b *bed) spawn(t testing.TB, env []string, ready func() error, args ...string) *daemon {
	t.Helper()
	d := &daemon{group: b.group, log: b.path(filepath.Base(args[0]) + ".log"), args: args, env: env}
	b.daemons = append(b.daemons, d)
	d.start(t, ready)
	return d
}

func (d *daemon) start(t testing.TB, ready func() error) {
	t.Helper()
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	d.cmd = exec.Command(d.args[0], d.args[1:]...)
	d.cmd.Env = append(os.Environ(), d.env...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	// A Ctrl-C is for the test. If the test is killed, the daemon ends.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	if d.group != nil {
		d.cmd.SysProcAttr.UseCgroupFD, d.cmd.SysProcAttr.CgroupFD = true, int(d.group.Fd())
	}
	d.done = make(chan struct{})
	if err := run(d.cmd, d.done); err != nil {
		t.Fatal(err)
	}
	eventually(t, filepath.Base(d.args[0])+" is ready", func() error {
		if d.ended() {
			text, _ := os.ReadFile(d.log)
			t.Fatalf("%s has ended:\n%s", d.args[0], text[max(0, len(text)-3000):])
		}
		return ready()
	})
}

// run starts a process and closes done when it has ended. For the kernel the thread that started it is its parent, so that
// thread has to stay.
func run(cmd *exec.Cmd, done chan struct{}) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(done)
		}
	}()
	return <-started
}

func (d *daemon) ended() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

func (d *daemon) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		t.Errorf("%s: %v", d.args[0], err)
	}
}

// hang makes the daemon do nothing until resume is called.
func (d *daemon) hang(t testing.TB) (resume func()) {
	t.Helper()
	d.signal(t, syscall.SIGSTOP)
	eventually(t, "all threads stand still", func() error {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", d.cmd.Process.Pid))
		for _, thread := range threads {
			if text, err := os.ReadFile(thread); err == nil && !bytes.Contains(text, []byte(") T ")) {
				return fmt.Errorf("not stopped: %s", text)
			}
		}
		return err
	})
	return func() { d.signal(t, syscall.SIGCONT) }
}

func (d *daemon) stop(t testing.TB) {
	t.Helper()
	if d.done == nil || d.ended() {
		return
	}
	d.signal(t, syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(patience):
		t.Errorf("%s does not stop", d.args[0])
		d.signal(t, syscall.SIGKILL)
		<-d.done
	}
}

// kill ends the daemon as a crash would.
func (d *daemon) kill(t testing.TB) {
	t.Helper()
	d.signal(t, syscall.SIGKILL)
	<-d.done
}

// eventually waits until try succeeds.
func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("in %v: not so: %s: %v", patience, what, err)
		}
	}
}

// close ends the daemons and checks that nothing is left.
func (b *bed) close(t testing.TB) {
	t.Helper()
	for _, d := range slices.Backward(b.daemons) {
		d.stop(t)
	}
	eventually(t, "no process of the test is left", func() error { return b.noProcess() })
	mounts := b.mounts(t)
	for _, path := range slices.Backward(mounts) {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", path, err)
		}
	}
	if left := b.mounts(t); len(left) > 0 {
		t.Errorf("left mounted: %v", left)
	}
	eventually(t, "the control group is gone", b.removeGroup)
	for _, path := range b.absent {
		eventually(t, "what was not there before is gone", func() error { return removeEmpty(path) })
	}
	if err := os.RemoveAll(b.dir); err != nil {
		t.Error(err)
	}
}

// noProcess returns an error if there is a process that has the folder in its command line: a shim, a conmon, a runtime.
func (b *bed) noProcess() error {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(b.dir+"/")) {
			return fmt.Errorf("%s: %s", file, bytes.ReplaceAll(text, []byte{0}, []byte{' '}))
		}
	}
	return nil
}

// mounts returns the mounts below the folder, the outermost first.
func (b *bed) mounts(t testing.TB) (paths []string) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], b.dir+"/") {
			paths = append(paths, f[4])
		}
	}
	return paths
}

// leftovers are files that daemons leave in folders that they made.
var leftovers = []string{"key.json", "blob-info-cache-v1.boltdb", "ipam.db"}

// removeEmpty removes folders together with the files that daemons leave. Any other file in them is an error; but other processes
// may be using the folder by now: then it stays.
func removeEmpty(root string) error {
	var folders []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case entry.IsDir():
			folders = append(folders, path)
		case slices.Contains(leftovers, entry.Name()):
			return os.Remove(path)
		}
		return nil
	})
	for _, path := range slices.Backward(folders) {
		if e := unix.Rmdir(path); e != nil && !errors.Is(e, fs.ErrNotExist) && !errors.Is(e, unix.ENOTEMPTY) && !errors.Is(e, unix.EBUSY) {
			err = errors.Join(err, fmt.Errorf("removing %s: %w", path, e))
		}
	}
	return err
}

// holdScript is an OCI runtime that waits in the middle of a start while a file is there.
const holdScript = `#!/bin/sh
case " $* " in
*" create "*)
	if [ -e DIR/hold ]; then
		: >DIR/held
		while [ -e DIR/hold ]; do sleep 0.02; done
	fi
	;;
esac
exec runc "$@"
`

// holdingRuntime writes an OCI runtime for hold.
func (b *bed) holdingRuntime(t testing.TB) (path string) {
	t.Helper()
	return b.write(t, "held-runc", strings.ReplaceAll(holdScript, "DIR", b.dir), 0o755)
}

// hold calls start, which starts a container, and returns when the OCI runtime has been called and waits.
func (b *bed) hold(t testing.TB, start func() error) (finish func()) {
	t.Helper()
	b.write(t, "hold", "", 0o600)
	started := make(chan error, 1)
	go func() { started <- start() }()
	eventually(t, "the start is held up", func() error {
		select {
		case err := <-started:
			t.Fatalf("the start was not held up: %v", err)
		default:
		}
		_, err := os.Stat(b.path("held"))
		return err
	})
	return func() {
		t.Helper()
		if err := errors.Join(os.Remove(b.path("held")), os.Remove(b.path("hold")), <-started); err != nil {
			t.Fatalf("the start that was held up: %v", err)
		}
	}
}
