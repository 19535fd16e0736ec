// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// thread is a thread that opens files.
type thread struct{ *workload.Thread[Event] }

func onThread(comm string, do func(*thread)) workload.Task[Event] {
	return workload.OnThread(comm, func(t *workload.Thread[Event]) error {
		do(&thread{t})
		return nil
	})
}

// openAll is all that the workload does.
func (f *files) openAll() workload.Task[Event] {
	return workload.InTurn(
		onThread("open-ways", func(t *thread) { t.all(append(f.oldCalls(), f.calls()...)) }),
		onThread("open-openat2", func(t *thread) { t.all(f.openat2Calls()) }),
		onThread("open-a-name-longer-than-comm", func(t *thread) { t.all(f.nameCalls()) }),
		onThread("open-failures", func(t *thread) { t.all(f.failingCalls()) }),
		onThread("open-below-fd", f.belowDescriptor),
		onThread("open-no-folder", f.withoutFolder),
		onThread("open-mounts", f.inOwnMounts),
		onThread("open-nobody", f.asNobody),
		onThread("open-32-bit", workload.Compat(f.call32)),
		f.atOnce(),
	)
}

func (f *files) calls() []call {
	return []call{
		{name: "plain", flags: unix.O_RDONLY, mode: 0o7654, fpath: f.path("plain")},
		{name: f.path("plain"), flags: unix.O_WRONLY | unix.O_APPEND | unix.O_CLOEXEC, fpath: f.path("plain")},
		{name: "./folder/../folder//inside", flags: unix.O_RDWR, fpath: f.path("folder/inside")},
		{name: "created", flags: unix.O_CREAT | unix.O_EXCL | unix.O_RDWR, mode: 0o7777, fpath: f.path("created")},
		{name: "created", flags: unix.O_CREAT | unix.O_TRUNC | unix.O_WRONLY, mode: 0xffff0000 | 0o600, fpath: f.path("created")},
		{name: "folder", flags: unix.O_DIRECTORY, fpath: f.path("folder")},
		{name: "fifo", flags: unix.O_RDONLY | unix.O_NONBLOCK, fpath: f.path("fifo")},
		{name: "link", flags: unix.O_RDONLY, fpath: f.path("plain")},
		{name: "link", flags: unix.O_PATH | unix.O_NOFOLLOW, fpath: f.path("link")},
		{name: "/", flags: unix.O_PATH, fpath: "/"},
		{name: "/proc/version", flags: unix.O_RDONLY, fpath: "/proc/version"},
	}
}

func (f *files) openat2Calls() []call {
	how := func(flags, mode, resolve uint64) *unix.OpenHow {
		return &unix.OpenHow{Flags: flags, Mode: mode, Resolve: resolve}
	}
	const n, size = unix.SYS_OPENAT2, unix.SizeofOpenHow
	return []call{
		{number: n, name: "plain", how: how(unix.O_RDONLY, 0, 0), howSize: size, fpath: f.path("plain")},
		{number: n, name: "by-openat2", how: how(unix.O_CREAT|unix.O_WRONLY, 0o2751, unix.RESOLVE_NO_SYMLINKS), howSize: size,
			fpath: f.path("by-openat2")},
		{number: n, name: "link", how: how(unix.O_RDWR, 0, unix.RESOLVE_NO_SYMLINKS), howSize: size, want: unix.ELOOP},
		{number: n, name: "../x", how: how(unix.O_RDWR, 0, unix.RESOLVE_BENEATH), howSize: size, want: unix.EXDEV},
		{number: n, name: "plain", how: how(unix.O_RDONLY, 0, 0), howSize: 8, want: unix.EINVAL},
		{number: n, name: "plain", howSize: size, want: unix.EFAULT},
	}
}

func (f *files) nameCalls() []call {
	var calls []call
	for _, name := range workload.OddNames() {
		calls = append(calls, call{name: name, flags: unix.O_RDONLY, fpath: f.path(name)})
	}
	for _, n := range []int{maxFname - 1, maxFname, maxFname + 1, 4095} {
		calls = append(calls, call{name: workload.Padded("plain", n), flags: unix.O_RDONLY, fpath: f.path("plain")})
	}
	for _, n := range deepLengths {
		calls = append(calls, call{name: f.deep(n), flags: unix.O_PATH, fpath: f.path(f.deep(n))})
	}
	return calls
}

func (f *files) failingCalls() []call {
	return []call{
		{name: "", want: unix.ENOENT},
		{name: "missing/file", flags: unix.O_RDWR, want: unix.ENOENT},
		{name: "plain/file", want: unix.ENOTDIR},
		{name: "plain", flags: unix.O_DIRECTORY, want: unix.ENOTDIR},
		{name: "folder", flags: unix.O_WRONLY, want: unix.EISDIR},
		{name: "plain", flags: unix.O_CREAT | unix.O_EXCL, mode: 0o600, want: unix.EEXIST},
		{name: "loop", want: unix.ELOOP},
		{name: "link", flags: unix.O_NOFOLLOW, want: unix.ELOOP},
		{name: "fifo", flags: unix.O_WRONLY | unix.O_NONBLOCK, want: unix.ENXIO},
		{name: strings.Repeat("n", 256), want: unix.ENAMETOOLONG},
		{name: workload.Padded("plain", 4096), want: unix.ENAMETOOLONG},
		{dir: 1 << 30, name: "plain", want: unix.EBADF},
		{dir: 1 << 30, badName: 1, want: unix.EFAULT},
		{badName: 1 << 63, want: unix.EFAULT},
	}
}
