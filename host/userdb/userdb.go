// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package userdb names the users and groups of the host by its files /etc/passwd and /etc/group.
//
// It reads the files itself rather than through the C library, so it knows no network directories.
package userdb

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// File names ids by a file in the form of /etc/passwd or /etc/group. It may be used by several
// goroutines at once, needs no closing, and notices within about a second when the file changes or
// is replaced.
type File struct {
	path string
	// names is never written to; a change of the file brings a new one.
	names atomic.Pointer[map[uint32]string]
	// version counts the contents of names.
	version atomic.Uint64
	// fresh says that the file was looked at less than an interval ago. A timer takes it back, so
	// that a lookup costs no reading of the clock.
	fresh    atomic.Bool
	interval time.Duration

	mu    sync.Mutex // held while the file is looked at
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

// New names ids by the file at path. A file that is missing or cannot be read names no id, until
// it appears; when it becomes so later, the names that were read before stay.
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

// Version returns a number that changes with the names, so that a caller that knows a name need not ask
// again. It notices a change of the file as Append does.
func (f *File) Version() uint64 {
	if !f.fresh.Load() {
		f.refresh()
	}
	return f.version.Load()
}

// refresh looks at the file and reads it if it changed. A caller that comes while another reads goes
// on with the names at hand.
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

// state is what tells one content of a file from the next.
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
