// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/records"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
)

// fakeIter is an iterator whose every iteration shows the same bytes.
type fakeIter struct {
	data          []byte
	err           error
	opened, ended int
	closed        bool
	onOpen        func()
}

func (f *fakeIter) Open() (io.ReadCloser, error) {
	f.opened++
	if f.onOpen != nil {
		f.onOpen()
	}
	return &fakeIteration{f, bytes.NewReader(f.data)}, f.err
}

func (f *fakeIter) Close() error {
	f.closed = true
	return nil
}

type fakeIteration struct {
	iter *fakeIter
	*bytes.Reader
}

func (f *fakeIteration) Close() error {
	f.iter.ended++
	return nil
}

func fakeSource(f image.Fetch, iters ...*fakeIter) *iterSource {
	s := &iterSource{schema: &event.Schema{Name: "fake", Size: 4}, schedule: newSchedule(f), records: records.New(4)}
	for i, it := range iters {
		s.programs = append(s.programs, Program{Name: fmt.Sprintf("p%d", i), Iterator: it})
	}
	return s
}

func text(b *event.Batch) string { return string(bytes.Join(b.Rows, []byte(" "))) }

// Each array is all that the programs write, in their order.
func TestArrayOfSeveralPrograms(t *testing.T) {
	t.Parallel()
	a, b := &fakeIter{data: []byte("abcdefgh")}, &fakeIter{data: []byte("ijkl")}
	s := fakeSource(image.Fetch{Interval: time.Nanosecond, Count: 3}, a, &fakeIter{}, b)
	var batch event.Batch
	for range 3 {
		if err := s.Next(t.Context(), &batch); err != nil || text(&batch) != "abcd efgh ijkl" {
			t.Errorf("%q, %v", text(&batch), err)
		}
	}
	pipelinetest.WantEnd(t, s)
	if a.opened != 3 || a.ended != 3 || a.closed {
		t.Errorf("%+v", a)
	}
	if err := s.Close(); err != nil || !a.closed || !b.closed {
		t.Errorf("%v, %+v, %+v", err, a, b)
	}
}

// An empty array is an array, too.
func TestEmptyArray(t *testing.T) {
	t.Parallel()
	s := fakeSource(image.Fetch{Count: 1}, &fakeIter{})
	var b event.Batch
	if err := s.Next(t.Context(), &b); err != nil || len(b.Rows) != 0 || b.Schema != s.schema {
		t.Errorf("%+v, %v", b, err)
	}
	pipelinetest.WantEnd(t, s)
}

// When arrays are made, in seconds from the start; the context ends after 10.
func TestScheduleOfArrays(t *testing.T) {
	t.Parallel()
	second := time.Second
	for _, c := range []struct {
		name  string
		fetch image.Fetch
		takes time.Duration // each
		want  string
	}{
		{"once", image.Fetch{Count: 1}, 0, "0s"},
		{"once, and at the end", image.Fetch{Count: 1, Flush: true}, 0, "0s"},
		{"every three", image.Fetch{Interval: 3 * second}, 0, "0s 3s 6s 9s"},
		{"every three, and at the end", image.Fetch{Interval: 3 * second, Flush: true}, 0, "0s 3s 6s 9s 10s"},
		{"default", image.Fetch{Count: 4}, 0, "0s 1s 2s 3s"},
		{"late once", image.Fetch{Interval: 2 * second, Count: 3}, 2700 * time.Millisecond, "0s 2.7s 5.4s"},
		{"always late", image.Fetch{Interval: second}, 3100 * time.Millisecond, "0s 3.1s 6.2s 9.3s"},
		{"at the end", image.Fetch{Interval: image.AtEnd}, 0, "10s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(5 * second) // time before the run does not count
				ctx, cancel := context.WithTimeout(t.Context(), 10*second)
				defer cancel()
				began := time.Now()
				var times []string
				it := &fakeIter{data: []byte("abcd"), onOpen: func() {
					times = append(times, time.Since(began).String())
					time.Sleep(c.takes)
				}}
				s := fakeSource(c.fetch, it)
				arrays := 0
				var b event.Batch
				for s.Next(ctx, &b) == nil {
					arrays++
				}
				pipelinetest.WantEnd(t, s)
				if got := strings.Join(times, " "); got != c.want || arrays > len(times) {
					t.Errorf("%d arrays at %s, want %s", arrays, got, c.want)
				}
			})
		})
	}
}

// A run that ends in the middle of an array drops it, because it is incomplete. If the source promises
// a last array, it delivers one.
func TestRunEndsInAnArray(t *testing.T) {
	t.Parallel()
	for _, flush := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s := fakeSource(image.Fetch{Interval: time.Hour, Flush: flush}, &fakeIter{data: []byte("abcd")}, &fakeIter{data: []byte("efgh"), onOpen: cancel})
		var b event.Batch
		err := s.Next(ctx, &b)
		if flush && (err != nil || text(&b) != "abcd efgh") || !flush && (!errors.Is(err, io.EOF) || len(b.Rows) > 0) {
			t.Errorf("flush %v: %q, %v", flush, text(&b), err)
		}
		pipelinetest.WantEnd(t, s)
	}
}

// A context that is done from the beginning: nothing is done.
func TestRunEndsBeforeTheFirstArray(t *testing.T) {
	t.Parallel()
	it := &fakeIter{data: []byte("abcd")}
	var b event.Batch
	if err := fakeSource(image.Fetch{Count: 1}, it).Next(ended(), &b); !errors.Is(err, io.EOF) || it.opened != 0 {
		t.Errorf("%v, opened %d times", err, it.opened)
	}
}

// Errors name the data source and the program, and end the source.
func TestIteratorErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for want, it := range map[string]*fakeIter{
		`data source "fake": program p1: it wrote 7 bytes, which is not a whole number of records of 4 bytes`: {data: []byte("abcdefg")},
		`data source "fake": program p1: broken`: {err: broken},
		`data source "fake": program p1: its output for one object does not fit into the kernel's buffer of 8 pages: argument list too long`: {err: unix.E2BIG},
	} {
		s := fakeSource(image.Fetch{Flush: true}, &fakeIter{data: []byte("abcd")}, it)
		var b event.Batch
		if err := s.Next(t.Context(), &b); err == nil || err.Error() != want || len(b.Rows) > 0 {
			t.Errorf("got %v and %d rows, want %s", err, len(b.Rows), want)
		}
		pipelinetest.WantEnd(t, s)
	}
}

// ended is a context that is over.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
