// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// Reader fills the arrays of a built-in data source.
type Reader interface {
	// Begin takes the first reading, to which the first array is compared.
	Begin() error
	// Read appends the rows of an array, which says what has changed since the reading before. They are valid until the next call.
	Read(rows [][]byte) ([][]byte, error)
	Close() error
}

// readings makes an array of each reading.
type readings struct {
	schema   *event.Schema
	reader   Reader
	schedule schedule
	begun    bool
}

// Readings makes a source of a reader, which the source closes.
func Readings(schema *event.Schema, fetch image.Fetch, reader Reader) pipeline.Source {
	s := &readings{schema: schema, reader: reader, schedule: newSchedule(fetch)}
	s.schedule.first = min(cmp.Or(fetch.First, s.schedule.fetch.Interval), s.schedule.fetch.Interval)
	return s
}

func (s *readings) Schemas() []*event.Schema { return []*event.Schema{s.schema} }

func (s *readings) Next(ctx context.Context, b *event.Batch) error {
	b.Reset(s.schema)
	if !s.begun {
		s.begun = true
		if err := s.reader.Begin(); err != nil {
			return s.failed(err)
		}
	}
	if s.schedule.wait(ctx) == atEnd {
		return io.EOF
	}
	var err error
	if b.Rows, err = s.reader.Read(b.Rows); err != nil {
		return s.failed(err)
	}
	return nil
}

func (s *readings) failed(err error) error {
	s.schedule.stop()
	return fmt.Errorf("data source %q: %w", s.schema.Name, err)
}

func (s *readings) Close() error { return s.reader.Close() }
