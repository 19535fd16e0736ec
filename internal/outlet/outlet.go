// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package outlet writes to files that may take nothing for a long time. A program that is told to
// end can give up a write to a full pipe whose reader does not read, to a terminal that is stopped, or to a device
// that hangs.
package outlet

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// ErrGivenUp is wrapped by the error of a write that was given up because the file took nothing for too long.
var ErrGivenUp = errors.New("the output takes nothing")

// ErrReaderGone is wrapped by the error of a write to a terminal that no longer exists. It means for a terminal what
// EPIPE means for a pipe.
var ErrReaderGone = errors.New("the terminal has gone")

// Outlet writes to one file. Only one goroutine at a time may call Write and TryWrite; any may call the other methods.
type Outlet struct {
	timeout  time.Duration
	terminal bool
	hurry    chan struct{} // closed by Hurry
	once     sync.Once
	port     *port    // nil: it cannot be found out whether the file has room
	file     *os.File // is written to directly; nil: port or worker does
	worker   *worker  // writes where there is no port
}

// New returns an outlet to f, which stays the caller's and must stay open. Until Hurry is called a write waits as long as
// it takes; then it gives up when the file has taken nothing for timeout.
func New(f *os.File, timeout time.Duration) *Outlet {
	o := &Outlet{timeout: max(timeout, 0), hurry: make(chan struct{})}
	fd := fdOf(f)
	o.terminal = fd >= 0 && term.IsTerminal(fd)
	switch o.port = openPort(fd); {
	case o.port != nil:
	case neverWaits(f):
		o.file = f
	default:
		o.worker = newWorker(f)
	}
	return o
}

// fdOf returns the descriptor, and leaves the file's mode; -1 if the file is closed.
func fdOf(f *os.File) int {
	fd := -1
	if conn, err := f.SyscallConn(); err == nil {
		_ = conn.Control(func(n uintptr) { fd = int(n) })
	}
	return fd
}

// neverWaits reports whether f is a file that the kernel keeps in pages, or the device that takes everything. Handing a write to
// another goroutine would take as long as the write.
func neverWaits(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return info.Mode().IsRegular() || err == nil && os.SameFile(info, null)
}

// Hurry has writes give up, those that are waiting now included, when the file has taken nothing for the timeout.
func (o *Outlet) Hurry() {
	o.once.Do(func() {
		close(o.hurry)
		if o.port != nil {
			o.port.wakeUp()
		}
	})
}

// Write returns how many bytes the file took. That is exact for pipes, terminals and sockets; of a write to any other file
// that was given up it is 0, though the file may take the bytes yet. After such a write p must not be changed, and
// there is no other.
func (o *Outlet) Write(p []byte) (n int, err error) {
	switch {
	case o.port != nil:
		n, err = o.port.write(p, o.hurry, o.timeout)
	case o.file != nil:
		n, err = o.file.Write(p)
	default:
		n, err = o.worker.write(p, o.hurry, o.timeout)
	}
	return n, o.explain(err)
}

// TryWrite writes as much as the file takes without waiting. If that cannot be found out it writes nothing.
func (o *Outlet) TryWrite(p []byte) (int, error) {
	if o.port == nil {
		return 0, nil
	}
	n, err := o.port.put(p)
	if err == unix.EAGAIN {
		err = nil
	}
	return n, o.explain(err)
}

func (o *Outlet) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrGivenUp):
		return fmt.Errorf("%w: nothing for %v", err, o.timeout)
	case o.terminal && errors.Is(err, unix.EIO):
		return fmt.Errorf("%w: %w", ErrReaderGone, err)
	}
	return err
}

// Close releases the outlet's resources. No write may be running, except one that was given up. The file stays open.
func (o *Outlet) Close() error {
	if o.port != nil {
		return o.port.close()
	}
	if o.worker != nil {
		close(o.worker.jobs)
	}
	return nil
}

// worker writes on a goroutine of its own, on which a caller can turn its back when the write is stuck in the kernel.
type worker struct {
	f    *os.File
	jobs chan []byte
	done chan result
	left bool // a write was given up
	// taken is how many bytes of the current write the file has taken.
	taken atomic.Int64
	timer *time.Timer
}

type result struct {
	n   int
	err error
}

func newWorker(f *os.File) *worker {
	w := &worker{f: f, jobs: make(chan []byte), done: make(chan result, 1), timer: time.NewTimer(time.Hour)}
	w.timer.Stop()
	go w.work()
	return w
}

// workerPiece limits the size of one write, so that progress of a slow file is visible.
const workerPiece = 1 << 20

func (w *worker) work() {
	for p := range w.jobs {
		var r result
		for r.n < len(p) && r.err == nil {
			var n int
			n, r.err = w.f.Write(p[r.n:min(len(p), r.n+workerPiece)])
			r.n += n
			w.taken.Store(int64(r.n))
		}
		w.done <- r
	}
}

func (w *worker) write(p []byte, hurry <-chan struct{}, timeout time.Duration) (int, error) {
	if w.left {
		return 0, ErrGivenUp
	}
	w.taken.Store(0)
	w.jobs <- p
	select {
	case r := <-w.done:
		return r.n, r.err
	case <-hurry:
	}
	for taken := int64(0); ; {
		w.timer.Reset(timeout)
		select {
		case r := <-w.done:
			w.timer.Stop()
			return r.n, r.err
		case <-w.timer.C:
		}
		now := w.taken.Load()
		if now == taken {
			w.left = true
			return 0, ErrGivenUp
		}
		taken = now
	}
}
