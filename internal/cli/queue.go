// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

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
	limit    int
	patience time.Duration
	// failed is called when the output takes no more: no event may ever come to notice it.
	failed func()

	more     chan struct{} // something is pending; closed by close
	progress chan struct{} // something was written
	ended    chan struct{}

	mu      sync.Mutex // guards what follows
	pending []byte
	stalled bool // the reader has had its time
	err     error
}

func newQueue(w io.Writer, failed func()) *queue {
	q := &queue{
		w: w, limit: queueLimit, patience: queuePatience, failed: failed,
		more: make(chan struct{}, 1), progress: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	go q.drain()
	return q
}

// isSlow reports whether w is something that may make a writer wait for long: a pipe, a socket, a
// terminal. A file is none.
func isSlow(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && (info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0 || isTerminal(f))
}

// Write takes all of the text, or nothing and returns pipeline.ErrDropped.
func (q *queue) Write(text []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.err == nil && len(q.pending) > 0 && len(q.pending)+len(text) > q.limit {
		if q.stalled {
			return 0, pipeline.ErrDropped
		}
		q.mu.Unlock()
		moved := q.waitForProgress()
		q.mu.Lock()
		q.stalled = q.stalled || !moved
	}
	if q.err != nil {
		return 0, q.err
	}
	q.pending = append(q.pending, text...)
	notify(q.more)
	return len(text), nil
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
			q.mu.Unlock()
			if len(text) == 0 {
				break
			}
			_, err := q.w.Write(text)
			q.mu.Lock()
			q.stalled = false
			if q.err == nil && err != nil {
				q.err = fmt.Errorf("write the output: %w", err)
				q.failed()
			}
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
