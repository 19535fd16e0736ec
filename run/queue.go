// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// What a queue holds at most in bytes, and how long it waits for room when its reader rests. Bursts
// are for the kernel's buffer to bear, which holds more: so the reader gets some time.
const (
	queueLimit    = 1 << 20
	queuePatience = 200 * time.Millisecond
)

// queue writes to an output whose reader may be slow, from a goroutine of its own. When the reader
// rests for long it refuses what comes, so that events are taken out of the kernel's buffer and
// counted one by one.
type queue struct {
	w        io.Writer
	pipe     pipe
	limit    int
	patience time.Duration
	// failed is called when the output takes no more: no event may ever come to notice it.
	failed func()

	more     chan struct{} // something is pending; closed by close
	progress chan struct{} // something was written
	ended    chan struct{}

	mu      sync.Mutex // guards what follows
	pending []byte
	writing bool // drain does, what was pending before
	stalled bool // the reader has had its time
	err     error
}

// directLimit is how long a text may be that is written at once if the output is a pipe with room. Texts
// are short if events are few, or are not to wait: then handing them to another goroutine takes longer than
// to write them, by far if there is but one CPU. Longer ones come from storms.
const directLimit = 8 << 10

func newQueue(w io.Writer, failed func()) *queue {
	q := &queue{
		w: w, pipe: pipeOf(w), limit: queueLimit, patience: queuePatience, failed: failed,
		more: make(chan struct{}, 1), progress: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	go q.drain()
	return q
}

// isSlow reports whether w is something that may make a writer wait for long: a pipe, a socket, a
// terminal. A file is none.
func isSlow(w io.Writer) bool {
	f, mode := fileOf(w)
	return f != nil && (mode&(os.ModeNamedPipe|os.ModeSocket) != 0 || isTerminal(f))
}

// Write takes all of the text, or nothing and returns pipeline.ErrDropped.
func (q *queue) Write(text []byte) (int, error) {
	waits, err := q.put(text)
	if waits {
		// With one processor the other goroutine would not run before the next batch is done.
		runtime.Gosched()
	}
	if err != nil {
		return 0, err
	}
	return len(text), nil
}

// put writes the text or makes it pending, and reports whether some of it waits for drain.
func (q *queue) put(text []byte) (waits bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.makeRoom(len(text)); err != nil {
		return false, err
	}
	if len(q.pending) == 0 && !q.writing && len(text) <= directLimit {
		if text, err = q.writeAtOnce(text); err != nil || len(text) == 0 {
			return false, err
		}
	}
	q.pending = append(q.pending, text...)
	notify(q.more)
	return true, nil
}

// makeRoom waits until there is room for n more bytes, if the reader has not had its time.
func (q *queue) makeRoom(n int) error {
	for q.err == nil && len(q.pending) > 0 && len(q.pending)+n > q.limit {
		if q.stalled {
			return pipeline.ErrDropped
		}
		q.mu.Unlock()
		moved := q.waitForProgress()
		q.mu.Lock()
		q.stalled = q.stalled || !moved
	}
	return q.err
}

// writeAtOnce writes as much as the pipe takes without waiting, and returns the rest.
func (q *queue) writeAtOnce(text []byte) ([]byte, error) {
	for len(text) > 0 && q.pipe.hasRoom() {
		n, err := q.w.Write(text[:min(len(text), pipeBuf)])
		text = text[n:]
		if err != nil {
			q.fail(err)
			return nil, q.err
		}
	}
	return text, nil
}

// fail notes the first error of writing.
func (q *queue) fail(err error) {
	if q.err == nil && err != nil {
		q.err = fmt.Errorf("write the output: %w", err)
		q.failed()
	}
}

func (q *queue) waitForProgress() bool {
	timer := time.NewTimer(q.patience)
	defer timer.Stop()
	select {
	case <-q.progress:
		return true
	case <-timer.C:
		return false
	}
}

// drain writes what is pending until the queue is closed.
func (q *queue) drain() {
	defer close(q.ended)
	var text []byte
	for range q.more {
		for {
			q.mu.Lock()
			text, q.pending = q.pending, text[:0]
			q.writing = len(text) > 0
			q.mu.Unlock()
			if len(text) == 0 {
				break
			}
			_, err := q.w.Write(text)
			q.mu.Lock()
			q.writing, q.stalled = false, false
			q.fail(err)
			q.mu.Unlock()
			notify(q.progress)
		}
	}
}

// close writes what is still pending, however long that takes.
func (q *queue) close() error {
	close(q.more)
	<-q.ended
	return q.err
}

// notify leaves a sign on a channel that holds one.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pipe is an output of which can be known whether it has room; the zero value is none.
type pipe struct {
	fd int32
	ok bool
}

// pipeBuf is what a pipe takes at once for which poll(2) says that it can be written to (PIPE_BUF).
const pipeBuf = 4096

// pipeOf returns the pipe that w is, if it is one. It is used as long as w is open.
func pipeOf(w io.Writer) (p pipe) {
	f, mode := fileOf(w)
	if mode&os.ModeNamedPipe == 0 {
		return p
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return p
	}
	err = conn.Control(func(fd uintptr) { p.fd = int32(fd) })
	p.ok = err == nil
	return p
}

// hasRoom reports whether pipeBuf bytes can be written without waiting, or nobody will ever read them.
func (p pipe) hasRoom() bool {
	if !p.ok {
		return false
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: p.fd, Events: unix.POLLOUT}}, 0)
	return err == nil && n > 0
}
