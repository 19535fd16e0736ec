// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"fmt"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

// The labels that say where a metric comes from, as OpenTelemetry's exporters name them.
const (
	scopeName    = "otel_scope_name"
	scopeVersion = "otel_scope_version"
	scopeSchema  = "otel_scope_schema_url"
)

// collectors is a [prometheus.Collector] for all that is served. It describes nothing beforehand: which metrics a sink has is known once it is bound.
type collectors struct {
	mu  sync.Mutex
	all []*collector
}

func (c *collectors) add(one *collector) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, one)
}

func (c *collectors) remove(one *collector) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = slices.DeleteFunc(c.all, func(other *collector) bool { return other == one })
}

// Describe implements prometheus.Collector.
func (*collectors) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collectors) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	all := slices.Clone(c.all)
	c.mu.Unlock()
	for _, one := range all {
		one.collect(out)
	}
}

// collector reads metrics when somebody asks for them.
type collector struct {
	scope  prometheus.Labels
	reader metrics.Reader

	mu       sync.Mutex
	snapshot metrics.Snapshot
	ended    bool
}

// end makes sure that nothing is read any more.
func (c *collector) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

func newCollector(scope string, reader metrics.Reader) *collector {
	return &collector{scope: prometheus.Labels{scopeName: scope, scopeVersion: "", scopeSchema: ""}, reader: reader}
}

func (c *collector) collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	s := &c.snapshot
	c.reader.Snapshot(s)
	described, beyond := c.describe(s.Labels), c.describe([]string{metrics.OverflowLabel})
	for series := range s.All() {
		descs, labels := described, series.Labels
		if series.Overflow {
			descs, labels = beyond, []string{metrics.OverflowValue}
		}
		for i := range s.Instruments {
			if m := metricOf(&s.Instruments[i], descs[i], &series, i, labels); m != nil {
				out <- m
			}
		}
	}
}

// describe returns a description of each metric with these labels.
func (c *collector) describe(labels []string) []*prometheus.Desc {
	var descs []*prometheus.Desc
	names := make([]string, len(labels))
	for i, label := range labels {
		names[i] = metrics.PrometheusLabel(label)
	}
	for i := range c.snapshot.Instruments {
		in := &c.snapshot.Instruments[i]
		descs = append(descs, prometheus.NewDesc(in.PrometheusName(), in.Description, names, c.scope))
	}
	return descs
}

// metricOf returns a metric of a series; nil if it has none.
func metricOf(in *metrics.Instrument, desc *prometheus.Desc, series *metrics.Series, i int, labels []string) prometheus.Metric {
	value, ok := series.Value(i)
	if !ok {
		return nil
	}
	var m prometheus.Metric
	var err error
	if in.Kind == metrics.Histogram {
		count, buckets := cumulative(in, series.Buckets(i))
		m, err = prometheus.NewConstHistogram(desc, count, value.Float(in), buckets, labels...)
	} else {
		kind := prometheus.CounterValue
		if in.Kind == metrics.Gauge {
			kind = prometheus.GaugeValue
		}
		m, err = prometheus.NewConstMetric(desc, kind, value.Float(in), labels...)
	}
	if err != nil {
		return prometheus.NewInvalidMetric(desc, fmt.Errorf("metric %q: %w", in.Name, err))
	}
	return m
}

// cumulative returns the number of all values, and for each upper bound of those that are not greater.
func cumulative(in *metrics.Instrument, counts []uint64) (all uint64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64, len(in.Boundaries))
	for i, n := range counts {
		if all += n; i < len(in.Boundaries) {
			buckets[in.Boundaries[i]] = all
		}
	}
	return all, buckets
}
