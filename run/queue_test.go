// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/outlet"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// plainOutput is an output that does not say whether it has room.
type plainOutput struct{ io.Writer }

func (plainOutput) TryWrite([]byte) (int, error) { return 0, nil }

// tally is where a test books rows.
type tally struct {
	mu        sync.Mutex
	delivered int
	lost      map[event.Cause]int
}

func (b *tally) Delivered(rows int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.delivered += rows
}

func (b *tally) Lost(rows int, cause event.Cause) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost == nil {
		b.lost = make(map[event.Cause]int)
	}
	b.lost[cause] += rows
}

// testQueue is a queue with small limits.
func testQueue(w io.Writer) *queue { return testQueueFailing(plainOutput{w}, func() {}) }

func testQueueFailing(out waitingOutput, failed func()) *queue {
	q := newQueue(out, false, failed)
	q.limit, q.patience = 64, 20*time.Millisecond
	return q
}

// pipeOutlet returns a pipe's end to read from, and an outlet to its other end, which is closed with the test.
func pipeOutlet(t *testing.T, timeout time.Duration) (*os.File, *outlet.Outlet) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out := outlet.New(w, timeout)
	t.Cleanup(func() {
		r.Close()
		out.Close()
		w.Close()
	})
	return r, out
}

func TestQueuePassesAllOn(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	got := make(chan []byte)
	go func() {
		data, _ := io.ReadAll(r)
		got <- data
	}()
	q := testQueue(w)
	var want bytes.Buffer
	for i := range 1000 {
		text := strings.Repeat(string(rune('a'+i%26)), i%100) + "\n"
		want.WriteString(text)
		if err := q.put([]byte(text), mark{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.close(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if data := <-got; !bytes.Equal(data, want.Bytes()) {
		t.Errorf("%d bytes came through, want %d", len(data), want.Len())
	}
}

// A reader that pauses makes the queue wait once, then drop events; when it continues, events come again.
func TestQueueGivesUpOnRestingReader(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	q := testQueue(w)
	line := []byte(strings.Repeat("x", 31) + "\n")
	taken, dropped := 0, 0
	start := time.Now()
	for range 100 {
		switch err := q.put(line, mark{}); {
		case errors.Is(err, pipeline.ErrDropped):
			dropped++
		case err != nil:
			t.Fatal(err)
		default:
			taken++
		}
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("100 lines took %v: each waited", took)
	}
	if taken == 0 || dropped == 0 || taken > 4 {
		t.Errorf("%d lines taken, %d dropped", taken, dropped)
	}
	lines := make(chan int)
	go func() {
		data, _ := io.ReadAll(r)
		lines <- bytes.Count(data, []byte("\n"))
	}()
	for { // the reader goes on, so room comes
		if err := q.put(line, mark{}); err == nil {
			taken++
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := q.close(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if n := <-lines; n != taken {
		t.Errorf("%d lines came through, %d were taken", n, taken)
	}
}

func TestQueueTellsOfAReaderThatHasGone(t *testing.T) {
	t.Parallel()
	r, out := pipeOutlet(t, time.Second)
	r.Close()
	failed := make(chan struct{})
	q := testQueueFailing(out, func() { close(failed) })
	books := &tally{}
	if err := q.put(make([]byte, directLimit+1), mark{rows: 7, books: books}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-failed: // without another write, which may never come
	case <-time.After(10 * time.Second):
		t.Fatal("it was not noticed")
	}
	if err := q.put([]byte("x"), mark{}); !IsReaderGone(err) {
		t.Errorf("the next write: got %v", err)
	}
	if err := q.close(); !IsReaderGone(err) {
		t.Errorf("got %v", err)
	}
	if books.delivered != 0 || books.lost[event.OutputFailed] != 7 {
		t.Errorf("booked %+v, want that all 7 rows are lost", books)
	}
}

// Text that a pipe has room for is in it when put returns, and costs no allocation.
func TestQueueWritesToPipesAtOnce(t *testing.T) {
	r, out := pipeOutlet(t, time.Second)
	q := newQueue(out, false, func() {})
	books := &tally{}
	line, got := []byte("an event\n"), make([]byte, 100)
	if n := testing.AllocsPerRun(10, func() {
		if err := q.put(line, mark{rows: 1, lines: true, books: books}); err != nil {
			t.Fatal(err)
		}
		if len(q.pending) > 0 || q.writing {
			t.Fatal("it has been handed on")
		}
		if n, err := r.Read(got); err != nil || !bytes.Equal(got[:n], line) {
			t.Fatalf("%q, %v", got[:n], err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if books.delivered != 11 || books.lost != nil {
		t.Errorf("booked %+v, want 11 rows delivered", books)
	}
	r.Close()
	if err := q.put(line, mark{}); !IsReaderGone(err) {
		t.Errorf("the reader has gone: got %v", err)
	}
	if err := q.close(); !IsReaderGone(err) {
		t.Errorf("close: got %v", err)
	}
}

// Texts stay in order, whichever way they take, and whole, whatever the pipe has room for.
func TestQueueKeepsTheOrder(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make(chan []byte)
	go func() {
		var all []byte
		part := make([]byte, 3000)
		for n, err := r.Read(part); err == nil; n, err = r.Read(part) {
			all = append(all, part[:n]...)
			time.Sleep(10 * time.Microsecond) // the pipe is full most of the time
		}
		got <- all
	}()
	out, books := outlet.New(w, time.Second), &tally{}
	q := newQueue(out, true, func() {}) // nothing is to be dropped
	var want bytes.Buffer
	for i := range 500 {
		text := strings.Repeat(fmt.Sprintf("%04d\n", i), 1+i*37%2500) // up to 12,500 bytes
		want.WriteString(text)
		if err := q.put([]byte(text), mark{rows: len(text) / 5, lines: true, books: books}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(q.close(), out.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if data := <-got; !bytes.Equal(data, want.Bytes()) {
		t.Errorf("%d bytes came through, not those %d that were written", len(data), want.Len())
	}
	if n := want.Len() / 5; books.delivered != n || books.lost != nil {
		t.Errorf("booked %+v, want %d rows delivered", books, n)
	}
}

// A pipe that is not read is given up in time after the run was told to end. Text that the kernel took counts as delivered: complete
// lines, or complete batches if events are not single lines.
func TestQueueIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ block, lines bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		r, out := pipeOutlet(t, 100*time.Millisecond)
		q := newQueue(out, c.block, func() {})
		q.patience = 10 * time.Millisecond
		books := &tally{}
		start := time.Now()
		time.AfterFunc(50*time.Millisecond, out.Hurry)
		text := []byte(strings.Repeat("line\n", 10_000))
		const puts = 40 // twice what the queue holds
		for range puts {
			if err := q.put(text, mark{rows: 10_000, lines: c.lines, books: books}); err != nil {
				books.Lost(10_000, causeOf(err))
			}
		}
		if err := q.close(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		if took := time.Since(start); took < 150*time.Millisecond || took > 2*time.Second {
			t.Errorf("%+v: it took %v, want 150 ms", c, took)
		}
		if err := out.Close(); err != nil {
			t.Error(err)
		}
		inPipe, err := unix.IoctlGetInt(int(r.Fd()), unix.TIOCINQ)
		if err != nil {
			t.Fatal(err)
		}
		want := inPipe / len("line\n")
		if !c.lines {
			want -= want % 10_000
		}
		if lost := books.lost[event.OutputSlow]; books.delivered != want || want == 0 || books.delivered+lost != puts*10_000 || len(books.lost) != 1 {
			t.Errorf("%+v: booked %d delivered, lost %v; the pipe has %d bytes", c, books.delivered, books.lost, inPipe)
		}
	}
}

func TestIsSlow(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if !isSlow(w) || isSlow(file) || isSlow(&bytes.Buffer{}) {
		t.Errorf("pipe %v, file %v, memory %v", isSlow(w), isSlow(file), isSlow(&bytes.Buffer{}))
	}
}
