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
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// testQueue is a queue with small limits.
func testQueue(w io.Writer) *queue { return testQueueFailing(w, func() {}) }

func testQueueFailing(w io.Writer, failed func()) *queue {
	q := newQueue(w, failed)
	q.limit, q.patience = 64, 20*time.Millisecond
	return q
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
		if n, err := q.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatal(n, err)
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

// A reader that rests costs patience once, then events; when it goes on, they come again.
func TestQueueGivesUpOnRestingReader(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	q := testQueue(w)
	line := []byte(strings.Repeat("x", 31) + "\n")
	taken, dropped := 0, 0
	start := time.Now()
	for range 100 {
		switch _, err := q.Write(line); {
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
		if _, err := q.Write(line); err == nil {
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
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	failed := make(chan struct{})
	q := testQueueFailing(w, func() { close(failed) })
	if _, err := q.Write(make([]byte, directLimit+1)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-failed: // without another write, which may never come
	case <-time.After(10 * time.Second):
		t.Fatal("nobody noticed")
	}
	if _, err := q.Write([]byte("x")); !IsReaderGone(err) {
		t.Errorf("the next write: got %v", err)
	}
	if err := q.close(); !IsReaderGone(err) {
		t.Errorf("got %v", err)
	}
}

// What a pipe has room for is there when Write returns, and costs no allocation.
func TestQueueWritesToPipesAtOnce(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	q := newQueue(w, func() {})
	line, got := []byte("an event\n"), make([]byte, 100)
	if n := testing.AllocsPerRun(10, func() {
		if _, err := q.Write(line); err != nil {
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
	r.Close()
	if _, err := q.Write(line); !IsReaderGone(err) {
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
	q := newQueue(w, func() {})
	q.patience = time.Minute // nothing is to be dropped, on a busy machine neither
	var want bytes.Buffer
	for i := range 500 {
		text := strings.Repeat(fmt.Sprintf("%04d\n", i), 1+i*37%2500) // up to 12,500 bytes
		want.WriteString(text)
		if _, err := q.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.close(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if data := <-got; !bytes.Equal(data, want.Bytes()) {
		t.Errorf("%d bytes came through, not those %d that were written", len(data), want.Len())
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
