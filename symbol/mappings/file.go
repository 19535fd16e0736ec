// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ID identifies the contents of a file: a file that is replaced, or written to, gets another. It can be compared.
type ID struct {
	// Major, Minor and Inode are what stat says of an open file, and what the process's mapping says of one that gizmo could not open.
	Major, Minor uint32
	Inode        uint64
	// Generation tells files apart that had the same inode, if gizmo could not open them; else 0.
	Generation uint64
	// ModifiedSec and ModifiedNsec are the time of the last change, Size is the size then; 0 if gizmo could not open the file.
	ModifiedSec, ModifiedNsec, Size int64
}

// File is a file that processes run code from. All methods may be called at any time from any goroutine, also after [Tracker.Close], when
// reading fails.
type File struct {
	path   string
	id     ID
	opened bool
	file   *file
}

// Path returns the path as the process names it.
func (f *File) Path() string { return f.path }

// ID returns the identity of the contents.
func (f *File) ID() ID { return f.id }

// Size returns the size in bytes at the time when gizmo opened the file; 0 if it could not.
func (f *File) Size() int64 { return f.id.Size }

// Opened says that gizmo opened the file; otherwise it had gone before.
func (f *File) Opened() bool { return f.opened }

// ReadAt reads from the file, even if it has been deleted. If gizmo closed the file because too many were open, ReadAt opens it again. It fails
// with an error that wraps [fs.ErrNotExist] if that is not possible any more.
func (f *File) ReadAt(p []byte, offset int64) (int, error) {
	if !f.opened {
		return 0, f.file.missing()
	}
	f.file.used.Store(f.file.files.now())
	for range 3 { // another goroutine may close the handle meanwhile
		handle, err := f.file.reopen(f)
		if err != nil {
			return 0, err
		}
		n, err := handle.ReadAt(p, offset)
		if !errors.Is(err, fs.ErrClosed) {
			return n, err
		}
	}
	return 0, f.file.missing()
}

// fileKey is a file as mappings name it. It is never compared with what stat says: on overlay and on btrfs the devices differ.
type fileKey struct {
	major, minor uint32
	inode        uint64
}

// namedFile is a file under one of its paths.
type namedFile struct {
	fileKey
	path string
}

// way is where a process has a file mapped. The file can be opened there while the process runs.
type way struct {
	pid    uint32
	lo, hi uint64
	// at is when the process mapped the file, 0 if gizmo did not see that.
	at         uint64
	generation uint64 // of the inode, 0 if unknown
}

// wayOf returns the way that a mapping is.
func wayOf(r *rawRecord) way {
	return way{pid: r.pid, lo: r.lo, hi: r.hi, at: r.time, generation: r.generation}
}

type fileState uint8

const (
	stateNew     fileState = iota // no goroutine has been told to open it
	stateWaiting                  // one has, for the first time
	stateOpen
	stateFailed
	stateClosed // to keep to the budget; it was open before
)

// file is a file under one of its paths, and what is known of its contents. Mappings refer to it.
type file struct {
	files      *files
	name       namedFile
	generation uint64 // 0: unknown

	used    atomic.Int64 // when its contents or name were last asked for, in nanoseconds since gizmo started
	given   atomic.Bool  // callers know it
	busy    atomic.Bool  // a goroutine is about to open or compare it
	current atomic.Pointer[File]

	// The rest is protected by files.mu.
	state   fileState
	done    chan struct{} // closed when busy becomes false
	handle  *os.File      // not nil in stateOpen
	deleted bool          // it has no name left
	way     way
	checked int64 // when the contents were last compared with those that gizmo knows
	failed  int64 // when opening failed
	marked  bool  // a mapping refers to it
}

func (f *file) missing() error {
	return fmt.Errorf("%s: the file that was mapped is gone: %w", f.name.path, fs.ErrNotExist)
}

// identify returns the identity of an open file, and whether it has no name left.
func identify(handle *os.File) (id ID, deleted bool, err error) {
	// Stat takes care that another goroutine may close the handle.
	info, err := handle.Stat()
	if err != nil {
		return id, false, err
	}
	st := info.Sys().(*syscall.Stat_t)
	return ID{
		Major: unix.Major(uint64(st.Dev)), Minor: unix.Minor(uint64(st.Dev)), Inode: st.Ino,
		ModifiedSec: int64(st.Mtim.Sec), ModifiedNsec: int64(st.Mtim.Nsec), Size: st.Size,
	}, st.Nlink == 0, nil
}

// unopened describes a file that gizmo could not open.
func (f *file) unopened() *File {
	n := f.name
	return &File{path: n.path, file: f, id: ID{Major: n.major, Minor: n.minor, Inode: n.inode, Generation: f.generation}}
}

// files holds the files that are mapped, and keeps to a budget of those that are open.
type files struct {
	began   time.Time
	budget  int
	max     int
	queue   chan *file
	stop    chan struct{}
	parents func(pid uint32, to []uint32) []uint32

	mu     sync.Mutex
	table  map[namedFile]*file
	open   map[*file]struct{}
	closed bool

	worker  *worker
	stuck   int
	running sync.WaitGroup
	counts  fileCounts
}

type fileCounts struct {
	opened, failed, evicted, refused, late atomic.Uint64
}

func newFiles(o *Options, parents func(uint32, []uint32) []uint32) *files {
	f := &files{
		began: time.Now(), budget: o.OpenFiles, max: o.maxFiles, parents: parents,
		queue: make(chan *file, queueLength), stop: make(chan struct{}),
		table: map[namedFile]*file{}, open: map[*file]struct{}{},
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.startWorker()
	return f
}

func (fs *files) now() int64 { return int64(time.Since(fs.began)) }

const (
	// queueLength is how many files may wait to be opened.
	queueLength = 4096
	// recheckAfter bounds how long gizmo takes a file that was written to for what it was.
	recheckAfter = int64(100 * time.Millisecond)
	// retryAfter bounds the time that files take that cannot be opened.
	retryAfter = int64(10 * time.Millisecond)
)

// get returns the file of a mapping, and sees to it that a goroutine opens it. It returns nil if there is no room.
func (fs *files) get(r *rawRecord) *file {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	// The compiler converts the name without allocating for this look-up.
	f := fs.table[namedFile{r.file, string(r.name)}]
	now := fs.now()
	if f == nil || f.isAnother(r.generation) {
		if f == nil && len(fs.table) >= fs.max {
			fs.counts.refused.Add(1)
			return nil
		}
		f = &file{files: fs, name: namedFile{r.file, string(r.name)}, generation: r.generation}
		fs.table[f.name] = f
		f.way = wayOf(r)
		f.current.Store(f.unopened())
	}
	if f.generation == 0 {
		f.generation = r.generation // the same inode: it is open
	}
	switch {
	case f.state == stateNew:
	case f.state == stateOpen && now-f.checked > recheckAfter:
	case f.state == stateFailed && now-f.failed > retryAfter:
		f.way = wayOf(r)
	default:
		return f
	}
	fs.submit(f)
	return f
}

// isAnother says that a mapping's file has the device, inode and path of this one, and is another. As long as gizmo has a file open its inode is not
// used again.
func (f *file) isAnother(generation uint64) bool {
	if f.state == stateOpen || f.state == stateNew || f.state == stateWaiting {
		return f.generation != 0 && generation != 0 && f.generation != generation
	}
	return f.generation == 0 || f.generation != generation
}

// submit has a goroutine open the file, or compare it. The caller holds the lock.
func (fs *files) submit(f *file) {
	if fs.closed || f.busy.Load() {
		return
	}
	select {
	case fs.queue <- f:
	default:
		fs.counts.late.Add(1) // the next mapping or the next caller submits it again
		return
	}
	f.done = make(chan struct{})
	f.busy.Store(true)
	if f.state == stateNew {
		f.state = stateWaiting
	}
}

// wait waits until the contents of the file are known. It returns false if the time is over.
func (f *file) wait(timeout <-chan time.Time) bool {
	f.files.mu.Lock()
	if f.state == stateNew {
		f.files.submit(f)
	}
	done := f.done
	f.files.mu.Unlock()
	if done == nil {
		return true // the queue is full
	}
	select {
	case <-done:
		return true
	case <-timeout:
	case <-f.files.stop:
	}
	return false
}
