// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// belowDescriptor opens relative to an open folder.
func (f *files) belowDescriptor(t *thread) error {
	dir, err := t.do(call{name: "folder", flags: unix.O_PATH, fpath: f.path("folder")})
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return t.all([]call{
		{dir: uintptr(dir), name: "inside", flags: unix.O_RDONLY, fpath: f.path("folder/inside")},
		{dir: uintptr(dir), name: "../plain", flags: unix.O_RDONLY, fpath: f.path("plain")},
		{dir: uintptr(dir), name: f.path("plain"), flags: unix.O_RDONLY, fpath: f.path("plain")},
		{dir: uintptr(dir), name: "missing", flags: unix.O_RDONLY, want: unix.ENOENT},
	})
}

// withoutFolder opens what lies in no folder: memory, a pipe, a deleted file.
func (f *files) withoutFolder(t *thread) error {
	memory, err := unix.MemfdCreate("in memory", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make a file in memory: %w", err)
	}
	defer unix.Close(memory)
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		return err
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	deleted, err := t.do(call{name: "deleted", flags: unix.O_CREAT, mode: 0o600, fpath: f.path("deleted")})
	if err != nil {
		return err
	}
	defer unix.Close(deleted)
	if err := unix.Unlink("deleted"); err != nil {
		return err
	}
	return t.all([]call{
		{name: descriptor(memory), flags: unix.O_RDONLY, fpath: "memfd:in memory"},
		{name: descriptor(pipe[0]), flags: unix.O_RDONLY, fpath: ""},
		{name: descriptor(deleted), flags: unix.O_RDONLY, fpath: f.path("deleted")},
	})
}

func descriptor(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// inOwnMounts opens files of a file system in a file system in the folder.
func (f *files) inOwnMounts(t *thread) error {
	if err := t.ownMounts(); err != nil {
		return err
	}
	const inner = "mount/one/two"
	for _, err := range []error{
		unix.Mount("test", "mount", "tmpfs", 0, ""),
		unix.Mkdir("mount/one", 0o755),
		unix.Mkdir(inner, 0o755),
		unix.Mount("folder", inner, "", unix.MS_BIND, ""),
		unix.Mount("folder", inner, "", unix.MS_BIND, ""), // once more above
	} {
		if err != nil {
			return fmt.Errorf("mount: %w", err)
		}
	}
	return t.all([]call{
		{name: "mount", flags: unix.O_DIRECTORY, fpath: f.path("mount")},
		{name: "mount/file", flags: unix.O_CREAT, mode: 0o600, fpath: f.path("mount/file")},
		{name: inner, flags: unix.O_PATH, fpath: f.path(inner)},
		{name: inner + "/inside", flags: unix.O_RDONLY, fpath: f.path(inner + "/inside")},
	})
}

// asNobody opens what nobody may open.
func (f *files) asNobody(t *thread) error {
	if err := t.BecomeNobody(); err != nil {
		return err
	}
	return t.all([]call{
		{name: "secret", flags: unix.O_RDONLY, want: unix.EACCES},
		{name: "/proc/version", flags: unix.O_RDONLY, fpath: "/proc/version"},
	})
}

// atOnce opens files from several threads at the same time.
func (f *files) atOnce() workload.Task[Event] {
	var tasks []workload.Task[Event]
	for i := range 4 {
		tasks = append(tasks, onThread(fmt.Sprintf("open-thread-%d", i), func(t *thread) error {
			for n := range 100 {
				missing := call{name: fmt.Sprintf("missing-%d-%d", i, n), want: unix.ENOENT}
				if err := t.all([]call{missing, {name: "plain", fpath: f.path("plain")}}); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	return workload.AtOnce(tasks...)
}
