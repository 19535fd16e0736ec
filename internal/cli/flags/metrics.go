// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/sink/metrics"
	"github.com/gizmo-ebpf/gizmo/sink/metrics/endpoint"
)

// Metrics are the flags about metrics for other programs.
type Metrics struct {
	listen    bool
	address   string
	names     string
	maxSeries int
	expiry    time.Duration
	flags     *pflag.FlagSet
}

// The names of flags.
const (
	metricsListen  = "otel-metrics-listen"
	metricsAddress = "otel-metrics-listen-address"
	metricsName    = "otel-metrics-name"
	metricsSeries  = "metrics-max-series"
	metricsExpiry  = "metrics-expiry"
)

// Register adds the flags.
func (f *Metrics) Register(fs *pflag.FlagSet) {
	f.flags = fs
	fs.BoolVar(&f.listen, metricsListen, false, "serve metrics to Prometheus (docs/metrics.md)")
	fs.StringVar(&f.address, metricsAddress, endpoint.DefaultAddress, "where to serve them: HOST:PORT; implies --"+metricsListen)
	fs.StringVar(&f.names, metricsName, "", "export the metrics of data sources under these names: DATASOURCE:NAME,...; default: the gadget's name, for data sources with the annotation metrics.collect")
	fs.IntVar(&f.maxSeries, metricsSeries, metrics.DefaultMaxSeries, "how many series of metrics each data source has at most; what has no room is one more series, and is counted")
	fs.DurationVar(&f.expiry, metricsExpiry, 0, "forget a series that gets no value for so long; 0: never")
}

// Open opens the endpoint, if there is to be one. It returns nil if metrics are not exported.
func (f *Metrics) Open(version string) (*Exports, error) {
	if f.maxSeries < 1 {
		return nil, fmt.Errorf("--%s: want 1 or more, got %d", metricsSeries, f.maxSeries)
	}
	if f.expiry < 0 {
		return nil, fmt.Errorf("--%s: want 0 or more, got %v", metricsExpiry, f.expiry)
	}
	if !f.Exports() {
		if f.names != "" {
			return nil, fmt.Errorf("--%s: nobody gets the metrics without --%s", metricsName, metricsListen)
		}
		return nil, nil
	}
	server, err := endpoint.Listen(f.address)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", metricsAddress, err)
	}
	server.Add("gizmo", buildInfo(version))
	return &Exports{
		Where:  "at http://" + server.Addr().String() + endpoint.Path,
		server: server,
		options: run.Metrics{
			Names: f.names, Limits: metrics.Options{MaxSeries: f.maxSeries, Expiry: f.expiry}, To: []metrics.Exporter{server},
		},
	}, nil
}

// Exports reports whether metrics are exported.
func (f *Metrics) Exports() bool {
	return f.listen || f.flags.Changed(metricsAddress) && !f.flags.Changed(metricsListen)
}

// buildInfo returns the metric that says which version of gizmo this is: 1, with labels.
func buildInfo(version string) metrics.Reader {
	info := []metrics.Instrument{{Name: "gizmo.build.info", Description: "The version of gizmo, and of Go.", Kind: metrics.Gauge}}
	return metrics.NewReadings(info, []string{"version", "goversion"}, func() []metrics.Reading {
		return []metrics.Reading{{Labels: []string{version, runtime.Version()}, Values: []metrics.Value{metrics.Whole(1)}}}
	})
}

// Exports are the exporters of the metrics of a run. Those of nil do nothing.
type Exports struct {
	// Where says where the metrics are: "at http://127.0.0.1:2224/metrics".
	Where   string
	server  *endpoint.Server
	options run.Metrics
}

// Options returns the options of the run; nil: no metrics are exported.
func (e *Exports) Options() *run.Metrics {
	if e == nil {
		return nil
	}
	return &e.options
}

// Close ends the exporters, after the run.
func (e *Exports) Close() error {
	if e == nil {
		return nil
	}
	return errors.Join(e.server.Close())
}
