// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipelinetest

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// small returns a source of 30 rows in three batches.
func small() *Script {
	s := NewSchema(One, true)
	serial := uint64(0)
	src := &Script{DataSources: []*event.Schema{s}}
	for i := range 3 {
		b := newBatch(s, &serial, 10)
		b.More = i < 2
		src.Batches = append(src.Batches, b)
	}
	return src
}

// spoiled is a source that behaves differently from the one below.
type spoiled struct {
	pipeline.Source
	schemas func() []*event.Schema
	next    func(ctx context.Context, b *event.Batch) error
	close   func() error
}

func (s *spoiled) Schemas() []*event.Schema {
	if s.schemas != nil {
		return s.schemas()
	}
	return s.Source.Schemas()
}

func (s *spoiled) Next(ctx context.Context, b *event.Batch) error {
	if s.next != nil {
		return s.next(ctx, b)
	}
	return s.Source.Next(ctx, b)
}

func (s *spoiled) Close() error {
	if s.close != nil {
		return s.close()
	}
	return s.Source.Close()
}

// spoil makes a case of the small source with a change.
func spoil(change func(s *Script, bad *spoiled)) SourceCase {
	return SourceCase{Rows: 30, New: func(testing.TB) pipeline.Source {
		s := small()
		bad := &spoiled{Source: s}
		change(s, bad)
		return bad
	}}
}

// after changes the result of the source below.
func after(change func(b *event.Batch, err error) error) SourceCase {
	return spoil(func(s *Script, bad *spoiled) {
		bad.next = func(ctx context.Context, b *event.Batch) error { return change(b, s.Next(ctx, b)) }
	})
}

func goodSource() SourceCase {
	return SourceCase{
		New:  func(testing.TB) pipeline.Source { return small() },
		Rows: 30,
		Broken: func(testing.TB) (pipeline.Source, int) {
			s := small()
			s.Err = io.ErrUnexpectedEOF
			return s, 30
		},
		Long: func(testing.TB) pipeline.Source {
			s := small()
			s.Loop = true
			return s
		},
	}
}

func TestScript(t *testing.T) {
	Source(t, goodSource())
	live := goodSource()
	live.Live = true
	live.New = func(testing.TB) pipeline.Source {
		s := small()
		s.Live = true
		return s
	}
	Source(t, live)
}

var errBad = errors.New("no good")

func TestSourceFindsBadOnes(t *testing.T) {
	all := slices.Concat(badSchemas(), badBatches(), badEnds(), badErrors())
	expectFailures(t, sourceRules(goodSource()), all, "a row that changes", "Next allocates")
}

func badSchemas() []bad[SourceCase] {
	return []bad[SourceCase]{
		{"no schema", "the schemas stay", "no schema", spoil(func(s *Script, _ *spoiled) { s.DataSources = nil })},
		{"two of one name", "the schemas stay", "two data sources", spoil(func(s *Script, _ *spoiled) {
			s.DataSources = append(s.DataSources, NewSchema(One, false))
		})},
		{"others each time", "the schemas stay", "others than before", spoil(func(_ *Script, bad *spoiled) {
			bad.schemas = func() []*event.Schema { return []*event.Schema{NewSchema(One, true)} }
		})},
		{"a schema that grows", "the schemas stay", "it has 5 fields", after(func(b *event.Batch, err error) error {
			b.Schema.Add(event.Field{Name: "late"})
			return err
		})},
		{"a field that changes", "the schemas stay", `field "serial"`, after(func(b *event.Batch, err error) error {
			b.Schema.Fields[0].Kind = event.Int
			return err
		})},
		{"a schema that was not declared", "batches fit their schemas", "not one of Schemas", after(func(b *event.Batch, err error) error {
			b.Schema = b.Schema.Clone()
			return err
		})},
		{"no schema at the end", "batches fit their schemas", "not one of Schemas (error: EOF)", after(func(b *event.Batch, err error) error {
			if err != nil {
				b.Schema = nil
			}
			return err
		})},
	}
}

func badBatches() []bad[SourceCase] {
	return []bad[SourceCase]{
		{"a short row", "batches fit their schemas", "fewer than", after(func(b *event.Batch, err error) error {
			if err == nil {
				b.Rows[3] = b.Rows[3][:31]
			}
			return err
		})},
		{"a short column", "batches fit their schemas", "handles for", after(func(b *event.Batch, err error) error {
			if err == nil {
				b.Rows = append(b.Rows, b.Rows[0])
			}
			return err
		})},
		{"nothing", "batches fit their schemas", "without rows", after(func(b *event.Batch, err error) error {
			b.Truncate(0)
			return err
		})},
		{"rows of before", "nothing is left of the batch before", "left a row", leaving(func(b, before *event.Batch) { b.Rows = before.Rows })},
		{"losses of before", "nothing is left of the batch before", "left a loss", leaving(func(b, before *event.Batch) { b.Lost = before.Lost })},
		{"handles of before", "nothing is left of the batch before", "left handles", leaving(func(b, before *event.Batch) {
			rows, schema := slices.Clone(b.Rows[:len(before.Rows)]), b.Schema
			b.Copy(before)
			b.Rows, b.Schema, b.Lost, b.More = rows, schema, nil, false
		})},
		{"More of before", "nothing is left of the batch before", "left More", leaving(func(b, before *event.Batch) { b.More = before.More })},
		{"a row that changes", "rows are valid until the next call", "changed before", after(func(b *event.Batch, err error) error {
			if err == nil {
				row := b.Rows[2]
				time.AfterFunc(200*time.Microsecond, func() { row[9] ^= 0xff })
			}
			return err
		})},
		{"always more", "More only when there is more", "has nothing (error: EOF)", after(func(b *event.Batch, err error) error {
			b.More = true
			return err
		})},
	}
}

// leaving makes a case of a source that forgets to reset a part of the batch.
func leaving(part func(b, before *event.Batch)) SourceCase {
	return spoil(func(s *Script, bad *spoiled) {
		bad.next = func(ctx context.Context, b *event.Batch) error {
			before := *b
			*b = event.Batch{}
			err := s.Next(ctx, b)
			if err == nil || before.More {
				if err == nil {
					part(b, &before)
				} else {
					b.More = before.More
				}
			}
			return err
		}
	})
}

func badEnds() []bad[SourceCase] {
	kept := make([]*os.File, 0, 100) // else the collector would close them
	return []bad[SourceCase]{
		{"a row is missing", "all rows come, then the end", "27 rows came, want 30", after(func(b *event.Batch, err error) error {
			b.Truncate(max(0, len(b.Rows)-1))
			return err
		})},
		{"an error at the end", "all rows come, then the end", "no good", spoil(func(s *Script, _ *spoiled) { s.Err = errBad })},
		{"it begins again", "all rows come, then the end", "after the end: 10 rows", spoil(func(s *Script, bad *spoiled) {
			bad.next = func(ctx context.Context, b *event.Batch) error {
				err := s.Next(ctx, b)
				if err != nil {
					s.at = 0
				}
				return err
			}
		})},
		{"it drops what is there", "after the context all that is there comes", "0 rows came", spoil(func(s *Script, bad *spoiled) {
			bad.next = func(ctx context.Context, b *event.Batch) error {
				if b.Reset(s.DataSources[0]); ctx.Err() != nil {
					return io.EOF
				}
				return s.Next(ctx, b)
			}
		})},
		{"Close fails", "Close at any time", "Close: no good", spoil(func(_ *Script, bad *spoiled) { bad.close = func() error { return errBad } })},
		{"Close fails in the middle", "Close at any time", "Close: no good", spoil(func(s *Script, bad *spoiled) {
			bad.close = func() error {
				if s.at == 1 {
					return errBad
				}
				return nil
			}
		})},
		{"a goroutine is left", "Close leaves nothing behind", "goroutines were left", spoil(func(*Script, *spoiled) {
			go func() { time.Sleep(4 * time.Second) }()
		})},
		{"a file is left", "Close leaves nothing behind", "open files were left", spoil(func(*Script, *spoiled) {
			f, err := os.Open(os.DevNull)
			if err == nil {
				kept = append(kept, f)
			}
		})},
	}
}

func badErrors() []bad[SourceCase] {
	noError := goodSource()
	noError.Broken = func(t testing.TB) (pipeline.Source, int) { return noError.New(t), 30 }
	notAll := goodSource()
	notAll.Broken = func(testing.TB) (pipeline.Source, int) {
		s := small()
		s.Err, s.Batches = errBad, s.Batches[:2]
		return s, 30
	}
	goesOn := goodSource()
	goesOn.Broken = func(testing.TB) (pipeline.Source, int) {
		s := small()
		return &spoiled{Source: s, next: func(ctx context.Context, b *event.Batch) error {
			if err := s.Next(ctx, b); err != nil {
				s.at = 0
				return errBad
			}
			return nil
		}}, 30
	}
	allocates := goodSource()
	allocates.Long = func(testing.TB) pipeline.Source {
		s := small()
		s.Loop = true
		return &spoiled{Source: s, next: func(ctx context.Context, b *event.Batch) error {
			err := s.Next(ctx, b)
			b.Rows[0] = append([]byte(nil), b.Rows[0]...)
			return err
		}}
	}
	return []bad[SourceCase]{
		{"no error", "an error is the end", "want another error", noError},
		{"rows are missing before the error", "an error is the end", "20 rows came before the error", notAll},
		{"it goes on after the error", "an error is the end", "after the error Next returned 10 rows", goesOn},
		{"Next allocates", "Next allocates nothing", "allocates 1 times", allocates},
	}
}

// The suite reports a source that waits for longer than it may.
func TestSourceThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := spoil(func(s *Script, bad *spoiled) {
			bad.next = func(ctx context.Context, b *event.Batch) error {
				time.Sleep(time.Minute)
				return s.Next(ctx, b)
			}
		})
		if got := record(t, func(t testing.TB) { doneContextDrains(t, c) }); got != "Next has not returned for 10s" {
			t.Errorf("got %q", got)
		}
		time.Sleep(time.Minute)
	})
}
