// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/sink/networkpolicy"
)

// report gathers the rows of a data source, and makes one text of them.
type report interface {
	pipeline.Sink
	// Append appends the text. It is called once, after the last row.
	Append(dst []byte) ([]byte, error)
}

// newReport returns the report of a format; nil if the format is for single rows. It checks the options of reports in any case.
func newReport(f *encode.Format, t *Text) (report, error) {
	policies, err := networkpolicy.New(cmp.Or(t.Policies, networkpolicy.DefaultFormat))
	if err != nil {
		return nil, about("policy-format", err)
	}
	if f.Name == encode.NetworkPolicy {
		return policies, nil
	}
	return nil, nil
}

// bindReport prepares for the rows of a data source that a report gathers.
func (o *textSink) bindReport(s *event.Schema, f *textFormat) (event.FieldSet, error) {
	if f.chosen {
		return event.FieldSet{}, about("fields", fmt.Errorf("data source %q: the output mode %s has no fields to choose", s.ID(), f.Name))
	}
	o.encoders = append(o.encoders, boundEncoder{schema: s, report: f.report})
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
	for i := range o.encoders {
		e := &o.encoders[i]
		if e.report == nil {
			continue
		}
		var err error
		if o.buf, err = e.report.Append(o.buf); err == nil {
			err = o.hand(e, e.gathered, false)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
