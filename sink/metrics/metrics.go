// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package metrics adds up events to counters, gauges and histograms.
//
// A [Sink] takes the rows of one data source and keeps a series for each combination of its key fields' values. Values are cumulative:
// since the sink was made. [Sink.Snapshot] copies them at any time, so that whoever makes text or messages of them holds up no event.
package metrics

// Kind is the kind of a metric.
type Kind uint8

// The kinds.
const (
	Counter Kind = iota
	Gauge
	Histogram
)

// String returns the kind as annotations name it.
func (k Kind) String() string { return [...]string{"counter", "gauge", "histogram"}[k] }

// Instrument describes a metric of a data source.
type Instrument struct {
	// Name is as the author wrote it, or that of the field, or the one of the counter of events.
	Name, Description, Unit string
	Kind                    Kind
	// Float says that the values, or the sums of a histogram, are floats. Otherwise they are whole numbers, and exact.
	Float bool
	// Signed says that the values can be negative, because the field's type can.
	Signed bool
	// Boundaries are the upper bounds of a histogram's buckets, which they include. One more bucket has what is greater.
	Boundaries []float64
	// Slots says that events come with numbers of values by powers of two. The sum of the histogram is then the greatest that is possible.
	Slots bool
}

// Reader has metrics to read at any time. A [Sink] is one.
type Reader interface {
	// Snapshot copies all series as they are now to dst, whose memory it uses again.
	Snapshot(dst *Snapshot)
}

// Exporter hands metrics to other programs.
type Exporter interface {
	// Add begins to export what r has, under the name of a scope: whose metrics they are. The function that it returns ends that; an exporter that
	// sends metrics has then tried to send the last values.
	Add(scope string, r Reader) (remove func())
}

// The label of the series that has what is beyond the limit of series, as OpenTelemetry names it.
const (
	OverflowLabel = "otel.metric.overflow"
	OverflowValue = "true"
)

// DefaultMaxSeries is the limit of series of a data source, unless the user sets one.
const DefaultMaxSeries = 10_000

// defaultBoundaries are those that OpenTelemetry's libraries have.
func defaultBoundaries() []float64 {
	return []float64{0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000}
}
