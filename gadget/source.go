// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/btfschema"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/ring"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// schemas returns a copy of each data source's schema with the kernel's own definitions of enums.
func (img *Image) schemas(kernel *btf.Spec) []*event.Schema {
	schemas := make([]*event.Schema, len(img.DataSources))
	for i := range img.DataSources {
		schemas[i] = img.DataSources[i].Schema.Clone()
		btfschema.PreferEnums(schemas[i], kernel)
	}
	return schemas
}

// openSources makes a source of every data source, for these schemas.
func (g *Gadget) openSources(schemas []*event.Schema, o *LoadOptions) error {
	for i, schema := range schemas {
		src, err := g.openSource(&g.image.DataSources[i], schema, o)
		if err != nil {
			return fmt.Errorf("data source %q: %w", schema.Name, err)
		}
		g.sources = append(g.sources, src)
	}
	return nil
}

func (g *Gadget) openSource(d *DataSource, schema *event.Schema, o *LoadOptions) (pipeline.Source, error) {
	switch d.Kind {
	case Tracer:
		return g.openBuffer(d, schema, o)
	case MapIterator:
		return g.openMap(d, schema, o)
	default:
		return g.openIterator(d, schema, o)
	}
}

// openBuffer makes a source of a ring or perf buffer.
func (g *Gadget) openBuffer(d *DataSource, schema *event.Schema, o *LoadOptions) (pipeline.Source, error) {
	m := g.coll.Maps[d.Map]
	losses, err := g.lossCounter(d, m)
	if err != nil {
		return nil, err
	}
	if m.Type() == ebpf.PerfEventArray {
		return newPerfSource(m, o.perfSize(int(m.MaxEntries())), schema, losses)
	}
	r, err := g.openRings(d, m, schema)
	if err != nil {
		return nil, err
	}
	if losses.counts == nil {
		slog.Warn("the gadget does not count the events that its buffer has no room for, so none of them will be told of; "+
			"it was built against other headers", "data source", schema.Name)
	}
	_, timed := g.image.spec.Variables[varWakeup]
	return &ringSource{
		rings: r, schema: schema, losses: losses,
		patience: patience(timed, o.Latency), rests: timed && o.Latency >= 0,
	}, nil
}

// patience is how long a source waits for the kernel to wake it before it looks by itself. Programs
// that wake the reader for a share of the buffer only make it necessary for the latency's sake, the
// others for losses that no event follows.
func patience(timed bool, latency time.Duration) time.Duration {
	switch {
	case !timed || latency < 0:
		return lossInterval
	case latency == 0:
		return DefaultLatency
	}
	return min(latency, lossInterval)
}

// How much a batch holds at most. Beyond that the memory of the buffer should be given back first.
const (
	maxBatchRows  = 512
	maxBatchBytes = 256 << 10
)

// rings is the reading end of one BPF ring buffer, or of the several that share a data source's
// events.
type rings interface {
	// fill gives back what the rows of the batch before took and reads the next. It reports whether there is
	// more that could be read at once.
	fill(b *event.Batch) (more bool)
	// Release gives back what the rows of the batch before took.
	Release()
	// Held reports whether fill has left records that were too young.
	Held() bool
	// Busy reports whether there is something that fill could not take yet.
	Busy() bool
	Wait(timeout time.Duration) error
	Wake()
	Close() error
}

// ringSource reads BPF ring buffers.
type ringSource struct {
	rings    rings
	schema   *event.Schema
	losses   lossCounter
	patience time.Duration
	// rests: after a batch that took all there was, wait before looking again. Else a reader that is quicker
	// than the programs would read, write and account for every few events by themselves.
	rests    bool
	caughtUp bool // with the batch before
	watch    watch
}

func (s *ringSource) Schemas() []*event.Schema { return []*event.Schema{s.schema} }

func (s *ringSource) Next(ctx context.Context, b *event.Batch) error {
	if !s.watch.started() {
		s.watch.start(ctx, s.rings.Wake)
	}
	b.Reset(s.schema)
	for wait := s.rests && s.caughtUp; ; wait = true {
		if wait {
			if err := s.wait(); err != nil {
				return err
			}
		}
		ended := ctx.Err() != nil // asked before reading, so that nothing can come between
		s.fill(b)
		var err error
		if b.Lost, err = s.losses.poll(b.Lost, ended && len(b.Rows) == 0); err != nil {
			return err
		}
		switch {
		case len(b.Rows) > 0 || len(b.Lost) > 0:
			return nil
		case ended && !s.rings.Busy():
			return io.EOF
		case ended:
			time.Sleep(time.Millisecond) // a program is about to finish its record
		}
	}
}

// fill reads the next rows.
func (s *ringSource) fill(b *event.Batch) {
	b.More = s.rings.fill(b)
	if len(b.Rows) == 0 {
		// There may have been records that were discarded: unless they are given back, too, the
		// kernel does not take this reader for one that has caught up, and would not wake it.
		b.More = s.rings.fill(b)
	}
	s.caughtUp = !b.More
}

// wait returns when it is time to look for records: because the kernel says so, because some wait for
// the latency's sake, or at once after the end of Next's context.
func (s *ringSource) wait() error {
	s.rings.Release()
	patience := s.patience
	if s.rings.Held() && !s.rests {
		patience = min(patience, timeSlack)
	}
	return s.rings.Wait(patience)
}

func (s *ringSource) Close() error {
	s.watch.stop()
	return s.rings.Close()
}

// oneRing is a ring buffer by itself.
type oneRing struct {
	*ring.Ring
	rows rows
}

func (r *oneRing) fill(b *event.Batch) bool {
	r.Release()
	r.rows.begin()
	for n := 0; len(b.Rows) < r.rows.max() && n < maxBatchBytes; {
		head, tail, ok := r.Next()
		if !ok {
			return false
		}
		n += len(head) + len(tail)
		b.Rows = append(b.Rows, r.rows.row(len(b.Rows), head, tail))
	}
	_, _, ok := r.Peek()
	return ok
}

// Held is for shards.
func (r *oneRing) Held() bool { return false }

// watch calls a function when a context ends. The zero value watches nothing.
type watch struct {
	cancel func() bool
	called chan struct{}
}

func (w *watch) started() bool { return w.cancel != nil }

// start begins to watch ctx.
func (w *watch) start(ctx context.Context, f func()) {
	called := make(chan struct{})
	w.called = called
	w.cancel = context.AfterFunc(ctx, func() {
		defer close(called)
		f()
	})
}

// stop ends watching. When it returns the function does not run and never will: what it uses may be
// closed.
func (w *watch) stop() {
	if w.cancel != nil && !w.cancel() {
		<-w.called
	}
	w.cancel = nil
}

// lossInterval is how often the kernel's counters of lost events are read.
const lossInterval = 250 * time.Millisecond

// lossCounter reads what the programs could not put into a buffer.
type lossCounter struct {
	counts *ebpf.Map // per CPU; nil if the object has none
	byMap  lossesByMap
	seen   []uint64
	now    []uint64
	next   time.Time
}

// poll appends what was lost since the last time. Unless final is set it looks at the counters
// once in a lossInterval only.
func (c *lossCounter) poll(dst []event.Loss, final bool) ([]event.Loss, error) {
	if c.counts == nil && c.byMap.counts == nil {
		return dst, nil
	}
	now := time.Now()
	if !final && now.Before(c.next) {
		return dst, nil
	}
	c.next = now.Add(lossInterval)
	clear(c.now)
	if c.counts != nil {
		if err := c.counts.Lookup(uint32(0), &c.now); err != nil {
			return dst, fmt.Errorf("read the counters of lost events: %w", err)
		}
	}
	if err := c.byMap.addTo(&c.now); err != nil {
		return dst, fmt.Errorf("read the counters of lost events by buffer: %w", err)
	}
	return c.grown(dst), nil
}

// grown appends by how much the counters have grown.
func (c *lossCounter) grown(dst []event.Loss) []event.Loss {
	if len(c.seen) < len(c.now) {
		c.seen = make([]uint64, len(c.now))
	}
	for cpu, n := range c.now {
		if lost := n - c.seen[cpu]; lost > 0 {
			dst = append(dst, event.Loss{CPU: cpu, Cause: event.BufferFull, Count: lost})
			c.seen[cpu] = n
		}
	}
	return dst
}
