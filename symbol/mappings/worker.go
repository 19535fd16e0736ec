// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"math"
	"os"
	"sync/atomic"
	"time"
)

const (
	// stuckAfter is when gizmo stops to wait for a file system: one of FUSE, or of the network, may never answer.
	stuckAfter = int64(500 * time.Millisecond)
	// maxStuck bounds the goroutines that wait in the kernel for such file systems.
	maxStuck = 4
	// closeWait is how long Close waits for them.
	closeWait = time.Second
)

// worker opens files. While one waits for a file system another takes over.
type worker struct {
	since    atomic.Int64 // when it began with a file; 0: it has none
	replaced atomic.Bool
}

// startWorker starts a worker in place of the present one. The caller holds the lock.
func (fs *files) startWorker() {
	w := &worker{}
	fs.worker = w
	fs.running.Add(1)
	go fs.work(w)
}

func (fs *files) work(w *worker) {
	defer fs.running.Done()
	for {
		select {
		case <-fs.stop:
			return
		case f := <-fs.queue:
			w.since.Store(max(1, fs.now()))
			fs.serve(f)
			w.since.Store(0)
		}
		if w.replaced.Load() {
			fs.mu.Lock()
			fs.stuck--
			fs.mu.Unlock()
			return
		}
	}
}

// watch starts another worker if the present one waits for a file system.
func (fs *files) watch() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	since := fs.worker.since.Load()
	if fs.closed || since == 0 || fs.now()-since < stuckAfter || fs.stuck == maxStuck {
		return
	}
	fs.stuck++
	fs.worker.replaced.Store(true)
	fs.startWorker()
}

// serve opens a file, or finds out whether an open one was written to.
func (fs *files) serve(f *file) {
	fs.mu.Lock()
	handle, w := f.handle, f.way
	fs.mu.Unlock()
	defer fs.finish(f)
	if handle != nil {
		if id, deleted, err := identify(handle); err == nil {
			fs.mu.Lock()
			defer fs.mu.Unlock()
			f.learn(id, deleted)
			return
		}
	}
	if _, err := fs.openAgain(f, w, nil); err != nil {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		f.state, f.failed = stateFailed, fs.now()
		fs.counts.failed.Add(1)
	}
}

// openAgain opens a file that is not open. If its contents must be the known ones, others are an error.
func (fs *files) openAgain(f *file, w way, known *File) (*os.File, error) {
	handle, err := fs.openMapped(f, w)
	if err != nil {
		return nil, err
	}
	id, deleted, err := identify(handle)
	if err == nil && known != nil && id != known.id {
		err = errAnother
	}
	if err != nil {
		handle.Close()
		return nil, err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	switch {
	case fs.closed:
		handle.Close()
		return nil, os.ErrClosed
	case f.handle != nil: // another goroutine was faster
		handle.Close()
		return f.handle, nil
	}
	fs.install(f, handle)
	f.learn(id, deleted)
	return handle, nil
}

// finish tells callers that wait for the file.
func (fs *files) finish(f *file) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.busy.Store(false)
	close(f.done)
}

// learn notes what an open file is now. The caller holds the lock.
func (f *file) learn(id ID, deleted bool) {
	f.checked, f.deleted = f.files.now(), deleted
	if now := f.current.Load(); !now.opened || now.id != id {
		f.current.Store(&File{path: f.name.path, id: id, opened: true, file: f})
	}
}

// install notes the handle of a file, and closes others if they are too many. The caller holds the lock.
func (fs *files) install(f *file, handle *os.File) {
	f.handle, f.state = handle, stateOpen
	f.used.Store(fs.now())
	fs.open[f] = struct{}{}
	fs.counts.opened.Add(1)
	for len(fs.open) > fs.budget {
		fs.closeFile(fs.leastUsed(f))
		fs.counts.evicted.Add(1)
	}
}

// leastUsed returns the open file to close first: one that has a name still, by which it can be opened again, and that was used
// longest ago. The caller holds the lock.
func (fs *files) leastUsed(except *file) *file {
	var best *file
	bestUsed, bestDeleted := int64(math.MaxInt64), true
	for f := range fs.open {
		if used := f.used.Load(); f != except && (best == nil || f.deleted == bestDeleted && used < bestUsed || !f.deleted && bestDeleted) {
			best, bestUsed, bestDeleted = f, used, f.deleted
		}
	}
	return best
}

func (fs *files) closeFile(f *file) {
	f.handle.Close()
	f.handle, f.state = nil, stateClosed
	delete(fs.open, f)
}

// reopen returns the handle of a file for the contents that the caller knows.
func (f *file) reopen(known *File) (*os.File, error) {
	fs := f.files
	fs.mu.Lock()
	handle, w, closed := f.handle, f.way, fs.closed
	fs.mu.Unlock()
	if closed || f.current.Load() != known {
		return nil, f.missing()
	}
	if handle != nil {
		return handle, nil
	}
	handle, err := fs.openAgain(f, w, known)
	if err != nil {
		return nil, f.missing()
	}
	return handle, nil
}

// sweep forgets the files that no mapping refers to. Those that callers know stay open as long as there is room. The function mark calls
// its argument with the files that mappings refer to.
func (fs *files) sweep(mark func(func(*file))) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.table {
		f.marked = false
	}
	for f := range fs.open {
		f.marked = false
	}
	mark(func(f *file) { f.marked = true })
	for name, f := range fs.table {
		if !f.marked && !f.busy.Load() && (f.handle == nil || !f.given.Load()) {
			delete(fs.table, name)
		}
	}
	for f := range fs.open {
		if !f.marked && !f.busy.Load() && !f.given.Load() {
			fs.closeFile(f)
		}
	}
}

// close closes all files. It does not wait for file systems that do not answer.
func (fs *files) close() {
	fs.mu.Lock()
	fs.closed = true
	close(fs.stop)
	for f := range fs.open {
		fs.closeFile(f)
	}
	fs.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		fs.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(closeWait):
	}
}
