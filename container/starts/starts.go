// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package starts sees containers before their first process runs. It makes the kernel stop OCI runtimes (runc, crun)
// for a moment: when they are executed, and when their caller reads the file with the process id of the container
// that they have made. At that moment the container has its namespaces but has not run anything.
//
// A container never waits longer than [MostDelay]. If the process dies, the kernel continues all of them at once.
package starts

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/bundle"
)

// MostDelay is the longest time that a container waits.
const MostDelay = 50 * time.Millisecond

// answerIn is when the kernel gets its answer, even if Created has not returned. It leaves time for the answer.
const answerIn = MostDelay - 5*time.Millisecond

// Options say what to watch.
type Options struct {
	// Binaries are the paths of OCI runtimes. Nil: those of Binaries.
	Binaries []string
	// Creating, if set, is called with a container that an OCI runtime is about to make: its PID is 0, and nothing of it exists but
	// its bundle. The runtime waits until Creating returns, as for Created. Not every such container gets as far as Created.
	Creating func(s Start)
	// Created is called with a container that exists but has not run anything. The container waits until Created returns,
	// at most until ctx is done. Several calls may run at once.
	Created func(ctx context.Context, s Start)
	// Log gets messages for debugging.
	Log *slog.Logger
}

// Start is a container that an OCI runtime has created.
type Start struct {
	// Runtime is the name of the OCI runtime: "runc".
	Runtime string
	ID      string
	// Bundle is the path of its bundle.
	Bundle string
	// PID is the id of its first process.
	PID int
}

// Identity returns what the bundle shows about the container. With an error, it returns what else is known.
func (s Start) Identity() (container.Identity, error) {
	id, err := bundle.Identity(s.Runtime, s.ID, s.Bundle)
	id.PID = s.PID
	if err != nil {
		err = fmt.Errorf("the bundle of container %s: %w", s.ID, err)
	}
	return id, err
}

// Binaries returns the OCI runtimes that are installed in the usual places, each file once.
func Binaries() (found []string) {
	var files []os.FileInfo
	for _, dir := range []string{"/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/usr/libexec/crio", "/opt/bin"} {
		for _, name := range []string{"runc", "crun", "youki"} {
			path := filepath.Join(dir, name)
			info, err := os.Stat(path)
			same := func(file os.FileInfo) bool { return os.SameFile(file, info) }
			if err == nil && info.Mode().IsRegular() && !slices.ContainsFunc(files, same) {
				found, files = append(found, path), append(files, info)
			}
		}
	}
	return found
}

// Watcher watches until it is closed.
type Watcher struct {
	options Options
	group   *os.File // of fanotify
	fd      int
	self    int32
	done    chan struct{}
	answers sync.WaitGroup

	mu      sync.Mutex
	waiting map[string]command // by the path of the pid file
	told    map[string]bool    // what Creating was called with: see isNew
	folders map[string]int     // marked, with the number of pid files that are waited for
	closed  bool
}

// ErrNothing says that no OCI runtime is installed.
var ErrNothing = errors.New("no OCI runtime is installed")

// Watch starts a watcher. It needs CAP_SYS_ADMIN, and a kernel with CONFIG_FANOTIFY_ACCESS_PERMISSIONS.
//
// Until Close, the process must not execute a watched runtime itself: Go may run no other goroutine before the new program
// runs, so that none can answer. A process that starts a [Guard] may.
func Watch(o Options) (*Watcher, error) {
	if o.Binaries == nil {
		o.Binaries = Binaries()
	}
	if len(o.Binaries) == 0 {
		return nil, ErrNothing
	}
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_LARGEFILE)
	if err != nil {
		return nil, fmt.Errorf("fanotify_init: %w", err)
	}
	w := &Watcher{
		options: o, fd: fd, group: os.NewFile(uintptr(fd), "fanotify"), self: int32(os.Getpid()),
		done: make(chan struct{}), waiting: make(map[string]command), told: make(map[string]bool), folders: make(map[string]int),
	}
	for _, path := range o.Binaries {
		if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD, unix.FAN_OPEN_EXEC_PERM, unix.AT_FDCWD, path); err != nil {
			w.group.Close()
			return nil, fmt.Errorf("fanotify_mark %s: %w", path, err)
		}
	}
	go w.run()
	return w, nil
}

// Close ends the watcher. Waiting containers continue.
func (w *Watcher) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	err := w.group.Close() // waiting containers continue
	<-w.done
	w.answers.Wait()
	return err
}

// metadata is the kernel's struct fanotify_event_metadata.
type metadata struct {
	length   uint32
	version  uint8
	_        uint8
	mdLength uint16
	mask     uint64
	fd       int32
	pid      int32
}

// run reads events until the group is closed. It never waits for anything else, because the kernel also asks about gizmo's own file accesses,
// which need an answer at once.
func (w *Watcher) run() {
	defer close(w.done)
	buf := make([]byte, 4096)
	for {
		n, err := w.group.Read(buf)
		if err != nil {
			return
		}
		for rest := buf[:n]; len(rest) >= int(unsafe.Sizeof(metadata{})); {
			e := *(*metadata)(unsafe.Pointer(&rest[0])) // the kernel aligns events in a buffer that is aligned
			if e.length < uint32(unsafe.Sizeof(metadata{})) || int(e.length) > len(rest) {
				return
			}
			rest = rest[e.length:]
			w.handle(e)
		}
	}
}

// handle answers an event, at once if it is an access by gizmo itself.
func (w *Watcher) handle(e metadata) {
	if e.fd < 0 {
		return
	}
	if e.pid == w.self {
		w.allow(e.fd)
		return
	}
	w.answers.Go(func() {
		var once sync.Once
		answer := func() { once.Do(func() { w.allow(e.fd) }) }
		ctx, cancel := context.WithTimeout(context.Background(), answerIn)
		defer cancel()
		// The descriptor stays open until the answer, so that it keeps referring to the same file.
		stop := context.AfterFunc(ctx, answer)
		defer stop()
		switch {
		case e.mask&unix.FAN_OPEN_EXEC_PERM != 0:
			w.executed(e.pid)
		case e.mask&unix.FAN_ACCESS_PERM != 0:
			w.read(ctx, e.fd)
		}
		answer()
	})
}

// allow lets a process continue.
func (w *Watcher) allow(fd int32) {
	answer := binary.NativeEndian.AppendUint32(nil, uint32(fd))
	answer = binary.NativeEndian.AppendUint32(answer, unix.FAN_ALLOW)
	w.mu.Lock()
	if !w.closed {
		_, _ = unix.Write(w.fd, answer) // the kernel allows it anyway when the group is closed
	}
	w.mu.Unlock()
	unix.Close(int(fd))
}

// executed handles the execution of an OCI runtime. It is executed several times for a container: the first time the
// command line is still that of the caller.
func (w *Watcher) executed(pid int32) {
	dir := "/proc/" + strconv.Itoa(int(pid))
	line, err := os.ReadFile(dir + "/cmdline")
	if err != nil {
		return
	}
	folder, _ := os.Readlink(dir + "/cwd")
	c, ok := parseCommand(strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00"), folder)
	if !ok {
		return
	}
	if w.options.Creating != nil && w.isNew(c) {
		w.options.Creating(Start{Runtime: c.runtime, ID: c.id, Bundle: c.bundle})
	}
	if c.pidFile != "" { // without a pid file no caller reads one, so the kernel cannot stop the container
		w.await(c)
	}
}

// oneStart is the time in which the OCI runtime that makes a container executes itself again.
const oneStart = time.Second

// isNew reports whether a command has not been seen yet.
func (w *Watcher) isNew(c command) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.told[c.key()] || w.closed {
		return false
	}
	w.told[c.key()] = true
	time.AfterFunc(oneStart, func() { w.made(c) })
	return true
}

// made says that the runtime does not execute itself for this container again: the next command is that of another start.
func (w *Watcher) made(c command) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.told, c.key())
}

// await begins to wait for the pid file of a container.
func (w *Watcher) await(c command) {
	parent, err := filepath.EvalSymlinks(filepath.Dir(c.pidFile)) // as the kernel names it
	if err != nil {
		return
	}
	c.pidFile = filepath.Join(parent, filepath.Base(c.pidFile))
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.waiting[c.pidFile]; known || w.closed {
		return
	}
	if w.folders[parent] == 0 {
		if err := unix.FanotifyMark(w.fd, unix.FAN_MARK_ADD, unix.FAN_ACCESS_PERM|unix.FAN_EVENT_ON_CHILD, unix.AT_FDCWD, parent); err != nil {
			w.options.Log.Debug("cannot watch the start of a container", "id", c.id, "folder", parent, "err", err)
			return
		}
	}
	w.folders[parent]++
	w.waiting[c.pidFile] = c
	time.AfterFunc(forgetAfter, func() { w.forget(c.pidFile) })
}

// forgetAfter is how long the watcher waits for the pid file of a container.
const forgetAfter = 30 * time.Second

// forget stops waiting for a pid file, and returns its command.
func (w *Watcher) forget(pidFile string) (c command, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok = w.waiting[pidFile]
	if !ok || w.closed {
		return c, false
	}
	delete(w.waiting, pidFile)
	parent := filepath.Dir(pidFile)
	if w.folders[parent]--; w.folders[parent] == 0 {
		delete(w.folders, parent)
		// The folder may be gone, and its mark with it.
		_ = unix.FanotifyMark(w.fd, unix.FAN_MARK_REMOVE, unix.FAN_ACCESS_PERM|unix.FAN_EVENT_ON_CHILD, unix.AT_FDCWD, parent)
	}
	return c, true
}

// read handles a caller that reads the pid file of a created container.
func (w *Watcher) read(ctx context.Context, fd int32) {
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(fd)))
	if err != nil {
		return
	}
	w.mu.Lock()
	_, ok := w.waiting[path]
	w.mu.Unlock()
	if !ok {
		return
	}
	pid, err := readPID(int(fd))
	if err != nil {
		return // it is not written yet
	}
	c, ok := w.forget(path)
	if !ok {
		return
	}
	w.made(c)
	w.options.Created(ctx, Start{Runtime: c.runtime, ID: c.id, Bundle: c.bundle, PID: pid})
}

// readPID reads a pid file through the descriptor of an event: that causes no new event.
func readPID(fd int) (int, error) {
	buf := make([]byte, 32)
	n, err := unix.Pread(fd, buf, 0)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(buf[:n])))
	if err == nil && pid <= 0 {
		err = fmt.Errorf("process id %d", pid)
	}
	return pid, err
}
