// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipelinetest

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// collector is a sink that keeps events as they have to be delivered. A test can replace its methods.
type collector struct {
	mu      sync.Mutex
	readers map[*event.Schema]event.Reader // of "mark"
	pending []Delivered                    // put off
	got     []Delivered
	writes  int

	bind  func(s *event.Schema) (event.FieldSet, error)
	write func(c *collector, b *event.Batch) error
}

func (c *collector) Bind(s *event.Schema) (set event.FieldSet, err error) {
	if c.bind != nil {
		return c.bind(s)
	}
	set.Add(2)
	c.readers[s], err = s.ReaderOf("mark")
	return set, err
}

func (c *collector) Write(b *event.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	if c.write != nil {
		return c.write(c, b)
	}
	return c.take(b)
}

// take puts the rows off while there is more.
func (c *collector) take(b *event.Batch) error {
	mark := c.readers[b.Schema]
	for i, row := range b.Rows {
		c.pending = append(c.pending, Delivered{
			Source: b.Schema.ID(), Serial: serialOf(row), Text: string(event.CString(row[8:32])), Mark: mark.String(b, i),
		})
	}
	if !b.More {
		c.got = append(c.got, c.pending...)
		c.pending = nil
	}
	return nil
}

func collecting(change func(c *collector)) SinkCase {
	return SinkCase{New: func(testing.TB, []*event.Schema) (pipeline.Sink, func() []Delivered) {
		c := &collector{readers: make(map[*event.Schema]event.Reader)}
		change(c)
		return c, func() []Delivered { return c.got }
	}}
}

func writing(write func(c *collector, b *event.Batch) error) SinkCase {
	return collecting(func(c *collector) { c.write = write })
}

// dropping makes a sink that drops every fifth batch, after it has done something to it.
func dropping(before func(c *collector, b *event.Batch)) SinkCase {
	s := writing(func(c *collector, b *event.Batch) error {
		if c.writes%5 == 0 {
			before(c, b)
			return pipeline.ErrDropped
		}
		return c.take(b)
	})
	s.Slow = true
	return s
}

func TestCollector(t *testing.T) { Sink(t, collecting(func(*collector) {})) }

func TestDroppingCollector(t *testing.T) { Sink(t, dropping(func(*collector, *event.Batch) {})) }

func TestSinkFindsBadOnes(t *testing.T) {
	expectFailures(t, sinkRules(), append(badSinks(), badWrites()...))
}

func badSinks() []bad[SinkCase] {
	said := dropping(func(*collector, *event.Batch) {})
	said.Slow = false
	never := collecting(func(*collector) {})
	never.Slow = true
	return []bad[SinkCase]{
		{"it reads what does not exist", "Bind names fields", "1 fields of data source", collecting(func(c *collector) {
			c.bind = func(s *event.Schema) (set event.FieldSet, err error) { set.Add(len(s.Fields)); return set, nil }
		})},
		{"Bind fails", "Bind names fields", "no good", collecting(func(c *collector) {
			c.bind = func(*event.Schema) (set event.FieldSet, err error) { return set, errBad }
		})},
		{"it drops unexpectedly", "several goroutines at once", "say in the case that it is slow", said},
		{"it never drops", "several goroutines at once", "has dropped nothing", never},
		{"it delivers half of what it drops", "several goroutines at once", "were delivered; taken were", dropping(func(c *collector, b *event.Batch) {
			b.Truncate(len(b.Rows) / 2)
			_ = c.take(b)
		})},
	}
}

func badWrites() []bad[SinkCase] {
	return []bad[SinkCase]{
		{"it keeps rows", "batches of all kinds", "delivered {", keeping()},
		{"it keeps what it put off", "batches of all kinds", "taken were", writing(func(c *collector, b *event.Batch) error {
			more := *b
			more.More = true
			return c.take(&more)
		})},
		{"it leaves the marks out", "batches of all kinds", "want", writing(func(c *collector, b *event.Batch) error {
			plain := event.Batch{Schema: b.Schema, Rows: b.Rows, More: b.More}
			return c.take(&plain)
		})},
		{"it wants a row", "batches without rows", "no good", writing(func(c *collector, b *event.Batch) error {
			if len(b.Rows) == 0 {
				return errBad
			}
			return c.take(b)
		})},
		{"it delivers from an empty batch", "batches without rows", "delivered {", writing(func(c *collector, b *event.Batch) error {
			c.got = append(c.got, Delivered{Source: b.Schema.ID()})
			return nil
		})},
		{"it writes to rows", "the batch stays as it is", "changes a batch", writing(func(_ *collector, b *event.Batch) error {
			b.Rows[0][8] = 'E'
			return nil
		})},
		{"it empties the batch", "the batch stays as it is", "changes a batch", writing(func(_ *collector, b *event.Batch) error {
			b.Truncate(0)
			return nil
		})},
		{"it moves handles", "the batch stays as it is", "changes a batch", writing(func(_ *collector, b *event.Batch) error {
			b.Schema.Columns()[0].Fill(b)
			return nil
		})},
		{"it is not made for goroutines", "several goroutines at once", "no good", writing(interrupted())},
	}
}

// interrupted is a Write that takes another one in its middle for an error.
func interrupted() func(c *collector, b *event.Batch) error {
	var current *event.Batch
	return func(c *collector, b *event.Batch) error {
		current = b
		c.mu.Unlock()
		time.Sleep(100 * time.Microsecond)
		c.mu.Lock()
		if current != b {
			return errBad
		}
		return c.take(b)
	}
}

// keeping makes a sink that reads rows only when all are there.
func keeping() SinkCase {
	return SinkCase{New: func(testing.TB, []*event.Schema) (pipeline.Sink, func() []Delivered) {
		c := &collector{readers: make(map[*event.Schema]event.Reader)}
		var kept []Delivered
		var rows [][]byte
		c.write = func(_ *collector, b *event.Batch) error {
			for _, row := range b.Rows {
				kept = append(kept, Delivered{Source: b.Schema.ID(), Serial: serialOf(row), Mark: Mark(serialOf(row))})
				rows = append(rows, row)
			}
			return nil
		}
		return c, func() []Delivered {
			for i := range kept {
				kept[i].Text = string(bytes.TrimRight(rows[i][8:32], "\x00"))
			}
			return kept
		}
	}}
}
