// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/sink/metrics"
	"github.com/gizmo-ebpf/gizmo/sink/metrics/endpoint"
	"github.com/gizmo-ebpf/gizmo/sink/metrics/otlp"
)

// Metrics are the flags about metrics for other programs.
type Metrics struct {
	listen    bool
	address   string
	exporter  string // its name in the configuration
	config    string
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
	metricsPush    = "otel-metrics-exporter"
	metricsConfig  = "otel-metrics-config"
	metricsSeries  = "metrics-max-series"
	metricsExpiry  = "metrics-expiry"
)

// Register adds the flags.
func (f *Metrics) Register(fs *pflag.FlagSet) {
	f.flags = fs
	fs.BoolVar(&f.listen, metricsListen, false, "serve metrics to Prometheus (docs/metrics.md)")
	fs.StringVar(&f.address, metricsAddress, endpoint.DefaultAddress, "where to serve them: HOST:PORT; implies --"+metricsListen)
	fs.StringVar(&f.names, metricsName, "", "export the metrics of data sources under these names: DATASOURCE:NAME,...; default: the gadget's name, for data sources with the annotation metrics.collect")
	fs.StringVar(&f.exporter, metricsPush, "", "push metrics to a receiver of OpenTelemetry: the name of an exporter in the file of --"+metricsConfig)
	fs.StringVar(&f.config, metricsConfig, "", "file with exporters (docs/metrics.md)")
	fs.IntVar(&f.maxSeries, metricsSeries, metrics.DefaultMaxSeries, "how many series of metrics each data source has at most; what has no room is one more series, and is counted")
	fs.DurationVar(&f.expiry, metricsExpiry, 0, "forget a series that gets no value for so long; 0: never")
}

// Open opens the endpoint, and prepares to push, as the flags say. It returns nil if metrics are not exported.
func (f *Metrics) Open(version string, logger *slog.Logger) (*Exports, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if !f.Exports() {
		return nil, nil
	}
	e := &Exports{options: run.Metrics{Names: f.names, Limits: metrics.Options{MaxSeries: f.maxSeries, Expiry: f.expiry}}}
	if f.exporter != "" {
		if err := e.push(f.exporter, f.config, version, logger); err != nil {
			return nil, err
		}
	}
	if f.listens() {
		if err := e.listen(f.address); err != nil {
			return nil, errors.Join(err, e.Close())
		}
	}
	for _, to := range e.options.Own {
		to.Add("gizmo", buildInfo(version))
	}
	if e.pusher != nil {
		e.pusher.Start()
	}
	return e, nil
}

// check returns errors about the flags.
func (f *Metrics) check() error {
	switch {
	case f.maxSeries < 1:
		return fmt.Errorf("--%s: want 1 or more, got %d", metricsSeries, f.maxSeries)
	case f.expiry < 0:
		return fmt.Errorf("--%s: want 0 or more, got %v", metricsExpiry, f.expiry)
	case f.names != "" && !f.Exports():
		return fmt.Errorf("--%s: nobody gets the metrics without --%s or --%s", metricsName, metricsListen, metricsPush)
	case f.exporter != "" && f.config == "":
		return fmt.Errorf("--%s: the file with the exporters is missing: --%s FILE", metricsPush, metricsConfig)
	}
	return nil
}

// Exports reports whether metrics are exported.
func (f *Metrics) Exports() bool { return f.listens() || f.Pushes() }

// Pushes reports whether metrics are sent to another program.
func (f *Metrics) Pushes() bool { return f.exporter != "" }

func (f *Metrics) listens() bool {
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
	where   []string
	server  *endpoint.Server
	pusher  *otlp.Exporter
	options run.Metrics
}

// Where says where the metrics are: "at http://127.0.0.1:2224/metrics".
func (e *Exports) Where() string { return strings.Join(e.where, " and ") }

// listen serves the metrics.
func (e *Exports) listen(address string) (err error) {
	if e.server, err = endpoint.Listen(address); err != nil {
		return fmt.Errorf("--%s: %w", metricsAddress, err)
	}
	e.where = append(e.where, "at http://"+e.server.Addr().String()+endpoint.Path)
	e.options.To, e.options.Own = append(e.options.To, e.server), append(e.options.Own, e.server)
	return nil
}

// push prepares to push the metrics.
func (e *Exports) push(name, file, version string, logger *slog.Logger) error {
	all, err := otlp.ReadConfig(file)
	if err != nil {
		return fmt.Errorf("--%s: %w", metricsConfig, err)
	}
	config, ok := all[strings.ToLower(name)]
	if !ok {
		return fmt.Errorf("--%s: %s has no exporter %q%s", metricsPush, file, name, nearest.Hint(name, slices.Collect(maps.Keys(all))))
	}
	config.Version = version
	if e.pusher, err = otlp.New(config, logger); err != nil {
		return fmt.Errorf("--%s: %w", metricsPush, err)
	}
	e.where = append(e.where, "to "+config.Endpoint)
	e.options.To = append(e.options.To, e.pusher)
	if config.OwnMetrics {
		e.options.Own = append(e.options.Own, e.pusher)
	}
	return nil
}

// Options returns the options of the run; nil: no metrics are exported.
func (e *Exports) Options() *run.Metrics {
	if e == nil {
		return nil
	}
	return &e.options
}

// Close ends the exporters, after the run.
func (e *Exports) Close() (err error) {
	if e == nil {
		return nil
	}
	if e.pusher != nil {
		_ = e.pusher.Close(context.Background()) // what it could not deliver is in the log, and no error of the run
	}
	if e.server != nil {
		err = e.server.Close()
	}
	return err
}
