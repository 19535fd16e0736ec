// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
)

// fakeReader gives arrays of two rows, and fails after some.
type fakeReader struct {
	begun, reads int
	failAt       int // the number of the reading that fails; 0: none; -1: the first one, to compare with
	closed       bool
	rows         [2][4]byte
}

var errFake = errors.New("it broke")

func (f *fakeReader) Begin() error {
	f.begun++
	if f.failAt < 0 {
		return errFake
	}
	return nil
}

func (f *fakeReader) Read(rows [][]byte) ([][]byte, error) {
	if f.reads++; f.reads == f.failAt {
		return rows, errFake
	}
	f.rows[0][0], f.rows[1][0] = byte(f.reads), byte(f.reads)
	return append(rows, f.rows[0][:], f.rows[1][:]), nil
}

func (f *fakeReader) Close() error {
	f.closed = true
	return nil
}

func fakeSchema() *event.Schema { return &event.Schema{Name: "fake", Size: 4} }

func TestReadingsContract(t *testing.T) {
	pipelinetest.Source(t, pipelinetest.SourceCase{
		New: func(testing.TB) pipeline.Source {
			return Readings(fakeSchema(), image.Fetch{Interval: time.Microsecond, Count: 1, Flush: true}, &fakeReader{})
		},
		Rows: 2,
		Broken: func(testing.TB) (pipeline.Source, int) {
			return Readings(fakeSchema(), image.Fetch{Interval: time.Microsecond}, &fakeReader{failAt: 3}), 4
		},
		Long: func(testing.TB) pipeline.Source {
			return Readings(fakeSchema(), image.Fetch{Interval: time.Nanosecond}, &fakeReader{})
		},
	})
}

// When the arrays come.
func TestReadingsTimes(t *testing.T) {
	t.Parallel()
	second := time.Second
	for name, c := range map[string]struct {
		fetch image.Fetch
		stop  time.Duration
		want  []time.Duration
	}{
		"first":        {image.Fetch{Interval: 3 * second, First: 250 * time.Millisecond}, 7 * second, []time.Duration{250 * time.Millisecond, 3250 * time.Millisecond, 6250 * time.Millisecond}},
		"without":      {image.Fetch{Interval: 3 * second}, 7 * second, []time.Duration{3 * second, 6 * second}},
		"first longer": {image.Fetch{Interval: 2 * second, First: 5 * second}, 5 * second, []time.Duration{2 * second, 4 * second}},
		"count":        {image.Fetch{Interval: second, Count: 2}, 9 * second, []time.Duration{second, 2 * second}},
		"at the end":   {image.Fetch{Interval: image.AtEnd, First: second}, 9 * second, []time.Duration{9 * second}},
		"the rest":     {image.Fetch{Interval: 2 * second, Flush: true}, 3 * second, []time.Duration{2 * second, 3 * second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), c.stop)
				defer cancel()
				r := &fakeReader{}
				src := Readings(fakeSchema(), c.fetch, r)
				var got []time.Duration
				var b event.Batch
				for src.Next(ctx, &b) == nil {
					got = append(got, time.Since(begin))
				}
				if len(got) != len(c.want) || r.begun != 1 {
					t.Fatalf("arrays after %v, want %v", got, c.want)
				}
				for i := range got {
					if got[i] != c.want[i] {
						t.Errorf("arrays after %v, want %v", got, c.want)
					}
				}
			})
		})
	}
}

// Without a first reading there is nothing to compare with.
func TestReadingsCannotBegin(t *testing.T) {
	t.Parallel()
	r := &fakeReader{failAt: -1}
	src := Readings(fakeSchema(), image.Fetch{}, r)
	var b event.Batch
	if err := src.Next(t.Context(), &b); !errors.Is(err, errFake) {
		t.Errorf("got %v", err)
	}
	if err := src.Next(t.Context(), &b); !errors.Is(err, io.EOF) || r.begun != 1 || r.reads != 0 {
		t.Errorf("got %v", err)
	}
	if err := src.Close(); err != nil || !r.closed {
		t.Errorf("%v, closed: %v", err, r.closed)
	}
}
