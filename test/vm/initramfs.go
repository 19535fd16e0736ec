// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
)

// archive is a file system for the kernel to start with, in cpio's format "newc".
type archive struct {
	buf   bytes.Buffer
	inode int
}

// The kinds of files, as the upper bits of a mode.
const (
	modeDir    = 0o040000
	modeDevice = 0o020000
	modeFile   = 0o100000
)

func (a *archive) dir(name string)                { a.add(name, modeDir|0o755, nil, 0, 0) }
func (a *archive) program(name string, d []byte)  { a.add(name, modeFile|0o755, d, 0, 0) }
func (a *archive) file(name string, d []byte)     { a.add(name, modeFile|0o644, d, 0, 0) }
func (a *archive) device(name string, ma, mi int) { a.add(name, modeDevice|0o600, nil, ma, mi) }

func (a *archive) add(name string, mode int, data []byte, major, minor int) {
	a.inode++
	fmt.Fprintf(&a.buf, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name)+1, 0, name)
	a.pad()
	a.buf.Write(data)
	a.pad()
}

// pad makes the length a multiple of four.
func (a *archive) pad() {
	for a.buf.Len()%4 != 0 {
		a.buf.WriteByte(0)
	}
}

// bytes ends the archive.
func (a *archive) bytes() []byte {
	a.add("TRAILER!!!", 0, nil, 0, 0)
	return a.buf.Bytes()
}

// initramfs returns the files that the guest starts with: its first program and the modules to load.
func initramfs(guest []byte, modules []module) []byte {
	a := new(archive)
	a.dir("dev")
	a.device("dev/console", 5, 1)
	a.program("init", guest)
	a.dir("modules")
	for i, m := range modules {
		a.file(fmt.Sprintf("modules/%03d-%s.ko", i, m.name), m.data)
	}
	return a.bytes()
}
