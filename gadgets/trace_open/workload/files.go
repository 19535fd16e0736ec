// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// files are those that the calls open, made without opening any.
type files struct {
	dir string // absolute and free of symbolic links; the current directory, too
}

// Lengths of paths of folders: the longest that fit into fpath, and the first that do not.
var deepLengths = []int{workload.MaxPath - 1, workload.MaxPath, workload.MaxPath + 1, 1000}

// newFiles makes files in dir and changes to it.
func newFiles(dir string) *files {
	f := &files{dir: workload.Must(workload.EnterDir(dir))}
	for _, name := range append(workload.OddNames(), "plain", "secret") {
		mknod(name, unix.S_IFREG)
	}
	for _, n := range deepLengths {
		workload.Check("make a folder", os.MkdirAll(f.deep(n), 0o755))
	}
	mknod("fifo", unix.S_IFIFO)
	workload.Check("make a folder", os.Mkdir("folder", 0o755))
	workload.Check("make a folder", os.Mkdir("mount", 0o755))
	mknod("folder/inside", unix.S_IFREG)
	workload.Check("make a link", os.Symlink("plain", "link"))
	workload.Check("make a link", os.Symlink("loop", "loop"))
	return f
}

// mknod makes a file without opening it.
func mknod(name string, kind uint32) { workload.Check("make "+name, unix.Mknod(name, kind|0o600, 0)) }

// path is that of a file in the folder.
func (f *files) path(name string) string { return f.dir + "/" + name }

// deep is a folder, relative to the current directory, whose path has n bytes.
func (f *files) deep(n int) string {
	n -= len(f.path(""))
	const part = 40
	names := strings.Repeat(strings.Repeat("d", part-1)+"/", n/part+1)
	return names[:n-1] + "e" // not a slash
}
