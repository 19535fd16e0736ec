// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipelinetest

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// thin is a wrapper that passes everything on, after change has changed it.
func thin(change func(b *event.Batch, err error) error) WrapperCase {
	return WrapperCase{Wrap: func(_ testing.TB, inner pipeline.Source) pipeline.Source {
		return &spoiled{Source: inner, next: func(ctx context.Context, b *event.Batch) error {
			return change(b, inner.Next(ctx, b))
		}}
	}}
}

func TestThinWrapper(t *testing.T) {
	Wrapper(t, thin(func(_ *event.Batch, err error) error { return err }))
}

func TestWrapperFindsBadOnes(t *testing.T) {
	expectFailures(t, wrapperRules, append(badPassing(), badHolding()...))
}

func badPassing() []bad[WrapperCase] {
	return []bad[WrapperCase]{
		{"it drops a row", "rows and their handles", "did not come", thin(func(b *event.Batch, err error) error {
			if len(b.Rows) > 1000 {
				b.Truncate(1000)
			}
			return err
		})},
		{"a row comes twice", "rows and their handles", "twice", thin(func(b *event.Batch, err error) error {
			if len(b.Rows) > 1 {
				b.Rows[1] = b.Rows[0]
			}
			return err
		})},
		{"it writes to rows", "rows and their handles", "want", thin(func(b *event.Batch, err error) error {
			if len(b.Rows) > 0 {
				b.Rows[0][12] = 'X'
			}
			return err
		})},
		{"it leaves the columns out", "rows and their handles", "has the handles [0 0]", thin(func(b *event.Batch, err error) error {
			*b = event.Batch{Schema: b.Schema, Rows: b.Rows, Lost: b.Lost, More: b.More}
			return err
		})},
		{"it sorts the rows without their handles", "rows and their handles", "has the handles", thin(func(b *event.Batch, err error) error {
			slices.Reverse(b.Rows)
			return err
		})},
		{"it drops losses without rows", "losses", "losses of data source", thin(func(b *event.Batch, err error) error {
			if len(b.Rows) == 0 {
				b.Lost = b.Lost[:0]
			}
			return err
		})},
		{"it passes losses on for another data source", "losses", "losses of data source", otherSource()},
		{"it loses the CPU", "losses", "losses of data source", thin(func(b *event.Batch, err error) error {
			for i := range b.Lost {
				b.Lost[i].CPU = event.NoCPU
			}
			return err
		})},
		{"it says the end for an error", "errors", "the error EOF", thin(func(_ *event.Batch, err error) error {
			if err != nil {
				return io.EOF
			}
			return nil
		})},
		{"it says an error for the end", "arrays", "want io.EOF", thin(func(_ *event.Batch, err error) error {
			if err != nil {
				return errBad
			}
			return nil
		})},
		{"it keeps More for itself", "More", "unlike", thin(func(b *event.Batch, err error) error {
			b.More = false
			return err
		})},
	}
}

// otherSource makes a wrapper that reports losses of data source Two as losses of One.
func otherSource() WrapperCase {
	return WrapperCase{Wrap: func(_ testing.TB, inner pipeline.Source) pipeline.Source {
		return &spoiled{Source: inner, next: func(ctx context.Context, b *event.Batch) error {
			err := inner.Next(ctx, b)
			if b.Schema.Name == Two && len(b.Lost) > 0 {
				b.Schema = inner.Schemas()[0]
			}
			return err
		}}
	}}
}

// holding makes a wrapper that holds rows back.
func holding(wrap func(inner pipeline.Source) func(ctx context.Context, b *event.Batch) error) WrapperCase {
	return WrapperCase{Holds: true, Wrap: func(_ testing.TB, inner pipeline.Source) pipeline.Source {
		return &spoiled{Source: inner, next: wrap(inner)}
	}}
}

func badHolding() []bad[WrapperCase] {
	return []bad[WrapperCase]{
		{"it waits after More", "More", "took 5ms to come", holding(func(inner pipeline.Source) func(ctx context.Context, b *event.Batch) error {
			return func(ctx context.Context, b *event.Batch) error {
				time.Sleep(5 * time.Millisecond)
				return inner.Next(ctx, b)
			}
		})},
		{"more after the last", "More", "the last batch had More", holding(func(inner pipeline.Source) func(ctx context.Context, b *event.Batch) error {
			n := 0
			return func(ctx context.Context, b *event.Batch) error {
				err := inner.Next(ctx, b)
				if n++; n == 60 {
					b.More = true
				}
				return err
			}
		})},
		{"it puts arrays together", "arrays", "an array of", holding(func(inner pipeline.Source) func(ctx context.Context, b *event.Batch) error {
			return func(ctx context.Context, b *event.Batch) error {
				err := inner.Next(ctx, b)
				if !b.Schema.Single && len(b.Rows) > 0 {
					b.Truncate(len(b.Rows) - 1)
				}
				return err
			}
		})},
		{"it drops empty arrays", "arrays", "an array of", holding(func(inner pipeline.Source) func(ctx context.Context, b *event.Batch) error {
			return func(ctx context.Context, b *event.Batch) error {
				for {
					err := inner.Next(ctx, b)
					if err != nil || b.Schema.Single || len(b.Rows) > 0 {
						return err
					}
				}
			}
		})},
	}
}
