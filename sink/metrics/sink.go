// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// Options limit a sink.
type Options struct {
	// MaxSeries is how many series there are at most, beside the one for all others; 0: DefaultMaxSeries.
	MaxSeries int
	// Expiry is how long a series stays that gets no row; 0: for ever.
	Expiry time.Duration
	// OnFull, if set, is called once, when the first row has come that has no room for a series of its own.
	OnFull func()
}

// Sink adds up the rows of one data source. It is a [pipeline.Sink].
type Sink struct {
	settings annotation.SourceMetrics
	options  Options
	now      func() time.Time

	mu     sync.Mutex // guards what follows
	source event.SourceID
	single bool
	table  *table    // nil: not bound yet
	begun  bool      // there was a batch
	swept  time.Time // when expire was last called
}

// New returns a sink for one data source with these annotations.
func New(settings annotation.SourceMetrics, o Options) *Sink {
	o.MaxSeries = cmp.Or(o.MaxSeries, DefaultMaxSeries)
	return &Sink{settings: settings, options: o, now: time.Now}
}

// Bind implements pipeline.Sink. It is an error if the data source has no metrics, or if the sink is that of another one. Until rows come,
// the same data source may be bound again.
func (s *Sink) Bind(schema *event.Schema) (event.FieldSet, error) {
	p, err := newPlan(schema, &s.settings)
	if err != nil {
		return event.FieldSet{}, err
	}
	if len(p.instruments) == 0 {
		return event.FieldSet{}, errors.New("metrics: no field is a counter, gauge or histogram; the annotation metrics.implicit-counter.name makes a counter of the events")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table != nil && (s.begun || s.source != schema.ID()) {
		return event.FieldSet{}, fmt.Errorf("metrics: they are of data source %q already", s.source)
	}
	s.source, s.single, s.table = schema.ID(), schema.Single, newTable(p, s.options.MaxSeries)
	return p.reads, nil
}

var _ pipeline.Sink = (*Sink)(nil)

// Write implements pipeline.Sink.
func (s *Sink) Write(b *event.Batch) error {
	if s.add(b, s.now()) && s.options.OnFull != nil {
		s.options.OnFull()
	}
	return nil
}

// add adds a batch, and reports whether it has the first row that has no room for a series of its own.
func (s *Sink) add(b *event.Batch, now time.Time) (full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = true
	s.sweep(now)
	had := s.table.beyond
	s.table.add(b, now)
	if !s.single && !b.Continues {
		s.table.intervals++
	}
	return had == 0 && s.table.beyond > 0
}

// Instruments returns the metrics of the data source; nil before Bind. They must not be changed.
func (s *Sink) Instruments() []Instrument {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table == nil {
		return nil
	}
	return s.table.plan.instruments
}

// Usage returns the number of series now, and that of the rows so far that had no room for a series of their own.
func (s *Sink) Usage() (series int, beyond uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table == nil {
		return 0, 0
	}
	return len(s.table.byKey), s.table.beyond
}

// sweep removes old series from time to time.
func (s *Sink) sweep(now time.Time) {
	if s.options.Expiry <= 0 || now.Sub(s.swept) < min(s.options.Expiry/4, time.Second) {
		return
	}
	s.swept = now
	s.table.expire(now.Add(-s.options.Expiry))
}
