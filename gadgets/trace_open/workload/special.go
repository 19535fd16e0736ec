// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// belowDescriptor opens relative to an open folder.
func (f *files) belowDescriptor(t *thread) {
	dir := t.do(call{name: "folder", flags: unix.O_PATH, fpath: f.path("folder")})
	defer unix.Close(dir)
	t.all([]call{
		{dir: uintptr(dir), name: "inside", flags: unix.O_RDONLY, fpath: f.path("folder/inside")},
		{dir: uintptr(dir), name: "../plain", flags: unix.O_RDONLY, fpath: f.path("plain")},
		{dir: uintptr(dir), name: f.path("plain"), flags: unix.O_RDONLY, fpath: f.path("plain")},
		{dir: uintptr(dir), name: "missing", flags: unix.O_RDONLY, want: unix.ENOENT},
	})
}

// withoutFolder opens files that are in no folder: memory, a pipe, a deleted file.
func (f *files) withoutFolder(t *thread) {
	memory := workload.Must(unix.MemfdCreate("in memory", unix.MFD_CLOEXEC))
	defer unix.Close(memory)
	var pipe [2]int
	workload.Check("make a pipe", unix.Pipe(pipe[:]))
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	deleted := t.do(call{name: "deleted", flags: unix.O_CREAT, mode: 0o600, fpath: f.path("deleted")})
	defer unix.Close(deleted)
	workload.Check("delete a file", unix.Unlink("deleted"))
	t.all([]call{
		{name: descriptor(memory), flags: unix.O_RDONLY, fpath: "memfd:in memory"},
		{name: descriptor(pipe[0]), flags: unix.O_RDONLY, fpath: ""},
		{name: descriptor(deleted), flags: unix.O_RDONLY, fpath: f.path("deleted")},
	})
}

func descriptor(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// inOwnMounts opens files of a file system in a file system in the folder.
func (f *files) inOwnMounts(t *thread) {
	workload.Check("mount alone", t.OwnMounts())
	const inner = "mount/one/two"
	for _, err := range []error{
		unix.Mount("test", "mount", "tmpfs", 0, ""),
		unix.Mkdir("mount/one", 0o755),
		unix.Mkdir(inner, 0o755),
		unix.Mount("folder", inner, "", unix.MS_BIND, ""),
		unix.Mount("folder", inner, "", unix.MS_BIND, ""), // once more above
	} {
		workload.Check("mount", err)
	}
	t.all([]call{
		{name: "mount", flags: unix.O_DIRECTORY, fpath: f.path("mount")},
		{name: "mount/file", flags: unix.O_CREAT, mode: 0o600, fpath: f.path("mount/file")},
		{name: inner, flags: unix.O_PATH, fpath: f.path(inner)},
		{name: inner + "/inside", flags: unix.O_RDONLY, fpath: f.path(inner + "/inside")},
	})
}

// asNobody opens files as the user nobody.
func (f *files) asNobody(t *thread) {
	workload.Check("give up rights", t.BecomeNobody())
	t.all([]call{
		{name: "secret", flags: unix.O_RDONLY, want: unix.EACCES},
		{name: "/proc/version", flags: unix.O_RDONLY, fpath: "/proc/version"},
	})
}

// atOnce opens files from several threads at the same time.
func (f *files) atOnce() workload.Task[Event] {
	return workload.Times(4, func(i int) workload.Task[Event] {
		return onThread(fmt.Sprintf("open-thread-%d", i), func(t *thread) {
			for n := range 100 {
				missing := call{name: fmt.Sprintf("missing-%d-%d", i, n), want: unix.ENOENT}
				t.all([]call{missing, {name: "plain", fpath: f.path("plain")}})
			}
		})
	})
}
