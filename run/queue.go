// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/outlet"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// The limit of a queue in bytes, and how long it waits for room when its reader takes nothing. The kernel's
// buffer holds more, so bursts wait there while the reader gets this time.
const (
	queueLimit    = 1 << 20
	queuePatience = 200 * time.Millisecond
)

// queue writes to an output whose reader may be slow, in its own goroutine. When the reader
// takes nothing for too long, the queue refuses new text, so that the run reads the kernel's buffer on and
// counts each event; or, if it blocks, it waits.
type queue struct {
	out      waitingOutput
	limit    int
	patience time.Duration
	block    bool
	// failed is called when the output takes no more: without it, the run would notice only at the next event.
	failed func()

	more     chan struct{} // something is pending; closed by close
	progress chan struct{} // something was written
	ended    chan struct{}

	mu      sync.Mutex // guards the fields below
	pending []byte
	marks   []mark // of pending, in its order
	writing bool   // drain writes text that was pending before
	stalled bool   // the reader took nothing for the time that it gets
	err     error
}

// waitingOutput is an outlet.Outlet.
type waitingOutput interface {
	Write(text []byte) (int, error)
	TryWrite(text []byte) (int, error)
}

// mark says which rows a text belongs to.
type mark struct {
	end   int // of the text, among all that is pending
	rows  int
	lines bool // each row is one line, and there are no other lines
	books pipeline.Books
}

// directLimit is the length up to which a text is written at once if the output has room. Texts
// are short if there are few events, or events must not wait: then handing the text to another goroutine takes longer than
// writing it, much longer if there is only one CPU. Storms make longer texts.
const directLimit = 8 << 10

func newQueue(out waitingOutput, block bool, failed func()) *queue {
	q := &queue{
		out: out, limit: queueLimit, patience: queuePatience, block: block, failed: failed,
		more: make(chan struct{}, 1), progress: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	go q.drain()
	return q
}

// put takes the whole text, and counts its rows when they are written; or it takes nothing and returns
// pipeline.ErrDropped, or the error of the output.
func (q *queue) put(text []byte, m mark) error {
	waits, err := q.take(text, m)
	if waits {
		// With one processor the other goroutine would otherwise not run before the next batch is done.
		runtime.Gosched()
	}
	return err
}

// take writes the text or makes it pending, and reports whether some of it waits for drain.
func (q *queue) take(text []byte, m mark) (waits bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.makeRoom(len(text)); err != nil {
		return false, err
	}
	if len(q.pending) == 0 && !q.writing && len(text) <= directLimit {
		n, err := q.out.TryWrite(text)
		if q.fail(err); q.err != nil {
			return false, q.err
		}
		if n == len(text) {
			m.delivered(m.rows)
			return false, nil
		}
		if m.lines {
			gone := bytes.Count(text[:n], newline)
			m.delivered(gone)
			m.rows -= gone
		}
		text = text[n:]
	}
	q.pending = append(q.pending, text...)
	m.end = len(q.pending)
	q.marks = append(q.marks, m)
	notify(q.more)
	return true, nil
}

var newline = []byte{'\n'}

func (m *mark) delivered(rows int) {
	if rows > 0 {
		m.books.Delivered(rows)
	}
}

// makeRoom waits until there is room for n more bytes, unless the reader has taken nothing for too long already.
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

// fail notes the first error of writing.
func (q *queue) fail(err error) {
	if q.err == nil && err != nil {
		q.err = writeError(err)
		q.failed()
	}
}

func (q *queue) waitForProgress() bool {
	if q.block {
		<-q.progress // also sent when the output fails or is given up
		return true
	}
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
	var marks []mark
	for range q.more {
		for {
			q.mu.Lock()
			text, q.pending = q.pending, text[:0]
			marks, q.marks = q.marks, marks[:0]
			q.writing = len(text) > 0
			err := q.err
			q.mu.Unlock()
			if len(text) == 0 {
				break
			}
			n := 0
			if err == nil {
				n, err = q.out.Write(text)
			}
			q.mu.Lock()
			q.writing, q.stalled = false, false
			q.fail(err)
			err = q.err
			q.mu.Unlock()
			settle(text, marks, n, err)
			if errors.Is(err, outlet.ErrGivenUp) {
				text = nil // it may still be written
			}
			notify(q.progress)
		}
	}
}

// settle counts the rows of a text of which the output took n bytes. If each row is a line, the rows of complete lines count as
// delivered, otherwise those of complete batches.
func settle(text []byte, marks []mark, n int, err error) {
	start := 0
	for i := range marks {
		m := &marks[i]
		delivered := 0
		switch {
		case m.rows == 0:
		case m.end <= n:
			delivered = m.rows
		case m.lines && start < n:
			delivered = bytes.Count(text[start:n], newline)
		}
		m.delivered(delivered)
		if lost := m.rows - delivered; lost > 0 {
			m.books.Lost(lost, causeOf(err))
		}
		start = m.end
	}
	clear(marks)
}

// close writes the pending text, as long as the output takes it.
func (q *queue) close() error {
	close(q.more)
	<-q.ended
	if errors.Is(q.err, pipeline.ErrGivenUp) {
		return nil // the rows that were lost by that are counted
	}
	return q.err
}

// notify sends on a channel with room for one value, without waiting.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
