// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/sink/metrics"
	"github.com/gizmo-ebpf/gizmo/sink/networkpolicy"
)

// report gathers the rows of a data source, and makes one text of them.
type report interface {
	pipeline.Sink
	// Append appends the text. It is called after the last row, and of metrics at intervals before.
	Append(dst []byte) ([]byte, error)
}

// DefaultPrintInterval is the time from one text of metrics to the next, and minPrintInterval the least that users can have.
const (
	DefaultPrintInterval = time.Second
	minPrintInterval     = 25 * time.Millisecond
)

// newReport returns the report of a format; nil if the format is for single rows. It checks the options of reports in any case.
func newReport(f *encode.Format, settings *annotation.Source, t *Text) (report, error) {
	if t.PrintInterval != 0 && t.PrintInterval < minPrintInterval {
		return nil, about("otel-metrics-print-interval", fmt.Errorf("want at least %v, got %v", minPrintInterval, t.PrintInterval))
	}
	policies, err := networkpolicy.New(cmp.Or(t.Policies, networkpolicy.DefaultFormat))
	if err != nil {
		return nil, about("policy-format", err)
	}
	switch f.Name {
	case encode.NetworkPolicy:
		return policies, nil
	case encode.Histogram, encode.MetricsJSON:
		return &metrics.Report{Sink: metrics.New(settings.Metrics, metrics.Options{}), JSON: f.Name == encode.MetricsJSON}, nil
	}
	return nil, nil
}

// bindReport prepares for the rows of a data source that a report gathers.
func (o *textSink) bindReport(s *event.Schema, f *textFormat) (event.FieldSet, error) {
	if f.chosen {
		return event.FieldSet{}, about("fields", fmt.Errorf("data source %q: the output mode %s has no fields to choose", s.ID(), f.Name))
	}
	regular := f.Name == encode.Histogram || f.Name == encode.MetricsJSON
	o.encoders = append(o.encoders, boundEncoder{schema: s, report: f.report, regular: regular, clear: f.Name == encode.Histogram && o.width > 0})
	reads, err := f.report.Bind(s)
	if err != nil {
		err = about("output", fmt.Errorf("%s: %w", f.Name, err))
	}
	return reads, err
}

// gather adds a batch to a report. If there is a queue, the rows count as delivered when it has written the text.
func (o *textSink) gather(e *boundEncoder, b *event.Batch) error {
	err := e.report.Write(b)
	if o.q == nil {
		return err
	}
	if err == nil {
		e.gathered += len(b.Rows)
		return nil
	}
	o.lose(e, len(b.Rows), err)
	if errors.Is(err, pipeline.ErrDropped) {
		return nil
	}
	return err
}

// writeReports writes the texts that are made of all rows.
func (o *textSink) writeReports() error {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.appendReports(func(e *boundEncoder) bool { return e.report != nil })
}

// appendReports writes the texts of some reports as they are now. On a terminal the first one begins at the top.
func (o *textSink) appendReports(of func(e *boundEncoder) bool) error {
	first := true
	for i := range o.encoders {
		e := &o.encoders[i]
		if !of(e) {
			continue
		}
		if first && e.regular && e.clear {
			o.buf = append(o.buf, clearScreen...)
		}
		first = false
		var err error
		if o.buf, err = e.report.Append(o.buf); err == nil {
			err = o.hand(e, e.gathered, false)
			e.gathered = 0
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stopTicking ends what tick began.
func (o *textSink) stopTicking() {
	if o != nil && o.endTicks != nil {
		o.endTicks()
	}
}

// tick begins to write the reports that come at intervals.
func (o *textSink) tick() {
	isRegular := func(e boundEncoder) bool { return e.regular }
	if o.recorded || !slices.ContainsFunc(o.encoders, isRegular) {
		return // a recording is read as fast as possible: its last text is the only one that says something
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ticks sync.WaitGroup
	o.endTicks = func() {
		cancel()
		ticks.Wait()
	}
	ticks.Go(func() {
		ticker := time.NewTicker(o.printInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			o.mu.Lock()
			err := o.appendReports(func(e *boundEncoder) bool { return e.regular })
			o.err = cmp.Or(o.err, err) // which the next batch, or the end of the run, meets
			o.mu.Unlock()
		}
	})
}
