// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// opener opens the workload's files, and keeps the rows that they should have.
type opener struct {
	dir  string
	rows map[int]Row
}

// add records the row of a descriptor.
func (o *opener) add(fd int, kind, path string) {
	o.rows[fd] = Row{Type: &kind, Path: &path}
}

func (o *opener) openAll() {
	o.files()
	o.special()
	o.pairs()
	o.events()
	for _, a := range anonymous() {
		if fd, err := a.open(); err == nil { // not all kernels have all of them
			o.add(fd, a.kind, a.name)
		}
	}
}

// open opens a file of the folder.
func (o *opener) open(kind, name string, flags int) {
	fd, err := unix.Open(name, flags, 0o640)
	workload.Check("open "+name, err)
	o.add(fd, kind, filepath.Join(o.dir, name))
}

func (o *opener) files() {
	deep := strings.Repeat("a folder/", 20)
	workload.Check("make a folder", os.MkdirAll(deep, 0o755))
	workload.Check("make a link", os.Symlink("plain", "link"))
	workload.Check("make a pipe", unix.Mkfifo("fifo", 0o600))
	for _, f := range []struct {
		kind, name string
		flags      int
	}{
		{"REGULAR", "plain", unix.O_RDWR | unix.O_CREAT | unix.O_CLOEXEC},
		{"REGULAR", "plain", unix.O_WRONLY | unix.O_APPEND},
		{"REGULAR", "deleted", unix.O_RDWR | unix.O_CREAT | unix.O_EXCL},
		{"REGULAR", "a name\twith \"all\" \\ sorts of\nletters", unix.O_RDWR | unix.O_CREAT | unix.O_SYNC},
		{"REGULAR", strings.Repeat("n", 255), unix.O_RDONLY | unix.O_CREAT | unix.O_NONBLOCK},
		{"REGULAR", deep + "file", unix.O_RDONLY | unix.O_CREAT},
		{"DIRECTORY", deep[:len(deep)-1], unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC},
		{"SYMLINK", "link", unix.O_PATH | unix.O_NOFOLLOW},
		{"PIPE", "fifo", unix.O_RDWR},
	} {
		o.open(f.kind, f.name, f.flags)
	}
	workload.Check("delete a file", os.Remove("deleted"))
}

// special opens files in other folders.
func (o *opener) special() {
	for path, kind := range map[string]string{"/": "DIRECTORY", "/dev/null": "CHAR_DEV", "/proc/version": "REGULAR"} {
		o.add(workload.Must(unix.Open(path, unix.O_RDONLY, 0)), kind, path)
	}
}

// pairs makes pipes, sockets and a file in memory.
func (o *opener) pairs() {
	var pipe [2]int
	workload.Check("make a pipe", unix.Pipe2(pipe[:], unix.O_NONBLOCK))
	o.add(pipe[0], "PIPE", "")
	o.add(pipe[1], "PIPE", "")
	local := workload.Must(unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	tcp := workload.Must(unix.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0))
	for _, fd := range []int{local[0], local[1], tcp} {
		kind := "SOCKET"
		o.rows[fd] = Row{Type: &kind} // kernels give them different names
	}
	o.add(workload.Must(unix.MemfdCreate("in memory", unix.MFD_CLOEXEC)), "REGULAR", "memfd:in memory")
}

// events makes the descriptors for waiting that all kernels have.
func (o *opener) events() {
	var mask unix.Sigset_t
	o.add(workload.Must(unix.PidfdOpen(os.Getpid(), 0)), "PIDFD", "[pidfd]")
	for _, e := range []thing{
		{"EVENTFD", "[eventfd]", func() (int, error) { return unix.Eventfd(1, unix.EFD_CLOEXEC) }},
		{"EPOLL", "[eventpoll]", func() (int, error) { return unix.EpollCreate1(0) }},
		{"TIMERFD", "[timerfd]", func() (int, error) { return unix.TimerfdCreate(unix.CLOCK_MONOTONIC, 0) }},
		{"SIGNALFD", "[signalfd]", func() (int, error) { return unix.Signalfd(-1, &mask, 0) }},
		{"INOTIFY", "inotify", func() (int, error) { return unix.InotifyInit1(unix.IN_CLOEXEC) }},
	} {
		o.add(workload.Must(e.open()), e.kind, e.name)
	}
}

// thing is a descriptor of something that is in no folder.
type thing struct {
	kind, name string
	open       func() (int, error)
}

func anonymous() []thing {
	return []thing{
		{"FANOTIFY", "[fanotify]", func() (int, error) { return unix.FanotifyInit(unix.FAN_CLASS_NOTIF, unix.O_RDONLY) }},
		{"PERF_EVENT", "[perf_event]", openPerf},
		{"BPF_MAP", "bpf-map", openMap},
		{"USERFAULTFD", "[userfaultfd]", func() (int, error) { return call(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0) }},
		{"IO_URING", "[io_uring]", func() (int, error) {
			var params [120]byte
			return call(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)), 0)
		}},
	}
}

// openPerf opens a counter of the processor time of this process.
func openPerf() (int, error) {
	return unix.PerfEventOpen(&unix.PerfEventAttr{
		Type:   unix.PERF_TYPE_SOFTWARE,
		Config: unix.PERF_COUNT_SW_TASK_CLOCK,
	}, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
}

// openMap makes a BPF map: an array of one number.
func openMap() (int, error) {
	attr := [18]uint32{unix.BPF_MAP_TYPE_ARRAY, 4, 4, 1}
	return call(unix.SYS_BPF, unix.BPF_MAP_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
}

func call(number, a, b, c uintptr) (int, error) {
	fd, _, errno := unix.Syscall(number, a, b, c)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
