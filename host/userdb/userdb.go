// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package userdb names the users and groups of the host by its files /etc/passwd and /etc/group.
//
// It reads the files itself rather than through the C library, so it does not know users of network directories.
package userdb

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// File names ids by a file in the format of /etc/passwd or /etc/group. It may be used by several
// goroutines at once, needs no Close, and notices within about a second when the file changes or
// is replaced.
type File struct {
	path string
	// names is never written to; a change of the file brings a new one.
	names atomic.Pointer[map[uint32]string]
	// version counts the contents of names.
	version atomic.Uint64
	// fresh says that the file was checked less than an interval ago. A timer resets it, so
	// that a lookup need not read the clock.
	fresh    atomic.Bool
	interval time.Duration

	mu    sync.Mutex // held while the file is checked
	last  state      // of the file when it was read
	timer *time.Timer
}

const (
	// checkInterval is how long a change of the file may go unnoticed.
	checkInterval = time.Second
	// settleTime is how coarse the times of changes may be on a file system. A file that changed
	// this shortly before it was read may have changed again at what looks like the same time.
	settleTime = 2 * time.Second
)

// Users names users by the host's /etc/passwd.
func Users() *File { return New("/etc/passwd") }

// Groups names groups by the host's /etc/group.
func Groups() *File { return New("/etc/group") }

// New names ids by the file at path. If the file is missing or cannot be read, ids have no names until
// it appears. If it disappears or cannot be read later, the names that were read before stay.
func New(path string) *File {
	f := &File{path: path, interval: checkInterval}
	f.names.Store(new(map[uint32]string))
	f.refresh()
	return f
}

// Append appends the name of id to dst, or nothing if it has none. It allocates nothing beyond dst,
// except when the file has changed.
func (f *File) Append(dst []byte, id uint32) []byte {
	if !f.fresh.Load() {
		f.refresh()
	}
	return append(dst, (*f.names.Load())[id]...)
}

// Version returns a number that changes with the names, so that a caller can keep a name until the number
// changes. It notices a change of the file as Append does.
func (f *File) Version() uint64 {
	if !f.fresh.Load() {
		f.refresh()
	}
	return f.version.Load()
}

// refresh checks the file and reads it if it changed. While one caller reads, the others use the names that
// they have.
func (f *File) refresh() {
	if !f.mu.TryLock() {
		return
	}
	defer f.mu.Unlock()
	if f.fresh.Load() {
		return
	}
	if f.last.changed(f.path) {
		f.reload()
	}
	f.fresh.Store(true)
	if f.timer == nil {
		f.timer = time.AfterFunc(f.interval, func() { f.fresh.Store(false) })
		return
	}
	f.timer.Reset(f.interval)
}

func (f *File) reload() {
	names, info, err := read(f.path)
	if err != nil {
		f.last = state{} // to try again
		return
	}
	f.last = state{info: info, settled: time.Since(info.ModTime()) > settleTime}
	f.names.Store(&names)
	f.version.Add(1)
}

// state identifies one content of a file.
type state struct {
	info    os.FileInfo // nil: never read
	settled bool        // a later change can't have the same time
}

func (s *state) changed(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false // there is nothing to read
	}
	return s.info == nil || !s.settled || !os.SameFile(s.info, info) ||
		!s.info.ModTime().Equal(info.ModTime()) || s.info.Size() != info.Size()
}
