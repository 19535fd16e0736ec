// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package export hands the metrics of a run to other programs: those of its data sources, and those of the run itself.
package export

import (
	"fmt"
	"log/slog"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

// Source is a data source whose metrics are exported.
type Source struct {
	ID       event.SourceID
	Settings annotation.SourceMetrics
	// Scope is the name under which they are exported.
	Scope string
}

// Options say what is exported to whom.
type Options struct {
	Sources []Source
	Limits  metrics.Options
	// To get the metrics of the data sources, and Own those about the run.
	To, Own []metrics.Exporter
	Log     *slog.Logger
}

// Export is the sink of the data sources whose metrics are exported. Other data sources pass it without effect.
type Export struct {
	to, own []metrics.Exporter
	sources []Source
	sinks   map[event.SourceID]*metrics.Sink
	remove  []func()
}

// New returns the export of a run. Nothing is exported before Start.
func New(o *Options) *Export {
	e := &Export{to: o.To, own: o.Own, sources: o.Sources, sinks: make(map[event.SourceID]*metrics.Sink)}
	for _, s := range o.Sources {
		limits := o.Limits
		limits.OnFull = func() {
			o.Log.Warn("there are too many series of metrics: what comes has one series, "+metrics.OverflowLabel+", unless its labels are known; --metrics-max-series allows more",
				"datasource", s.ID.String())
		}
		e.sinks[s.ID] = metrics.New(s.Settings, limits)
	}
	return e
}

// HasSources reports whether there is a data source whose metrics are exported.
func (e *Export) HasSources() bool { return e != nil && len(e.sources) > 0 }

// Bind implements pipeline.Sink.
func (e *Export) Bind(s *event.Schema) (event.FieldSet, error) {
	sink := e.sinks[s.ID()]
	if sink == nil {
		return event.FieldSet{}, nil
	}
	reads, err := sink.Bind(s)
	if err != nil {
		return reads, fmt.Errorf("data source %q: %w", s.ID(), err)
	}
	return reads, e.compare(s.ID())
}

// compare returns an error if a metric of a data source has the name of another one's metric, but is of another kind: what collects the metrics
// would refuse both.
func (e *Export) compare(id event.SourceID) error {
	for _, own := range e.sinks[id].Instruments() {
		for _, s := range e.sources {
			if s.ID == id {
				continue
			}
			for _, other := range e.sinks[s.ID].Instruments() {
				if own.Kind != other.Kind && own.PrometheusName() == other.PrometheusName() {
					return fmt.Errorf("metrics: %q is a %v of data source %q, and a %v of data source %q; the annotation metrics.name gives one another name",
						own.Name, own.Kind, id, other.Kind, s.ID)
				}
			}
		}
	}
	return nil
}

// Write implements pipeline.Sink.
func (e *Export) Write(b *event.Batch) error {
	if sink := e.sinks[b.Schema.ID()]; sink != nil {
		return sink.Write(b)
	}
	return nil
}

// Start begins to export the metrics of the data sources, and what the run says about itself.
func (e *Export) Start(own ...metrics.Reader) {
	if e == nil {
		return
	}
	for _, to := range e.to {
		for _, s := range e.sources {
			e.remove = append(e.remove, to.Add(s.Scope, e.sinks[s.ID]))
		}
	}
	for _, to := range e.own {
		for _, r := range append(own, e.usage()) {
			e.remove = append(e.remove, to.Add(OwnScope, r))
		}
	}
}

// End ends what Start began, after the last row. Further calls do nothing.
func (e *Export) End() {
	if e == nil {
		return
	}
	for _, remove := range e.remove {
		remove()
	}
	e.remove = nil
}
