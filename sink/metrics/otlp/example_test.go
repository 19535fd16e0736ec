// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package otlp_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/gizmo-ebpf/gizmo/sink/metrics"
	"github.com/gizmo-ebpf/gizmo/sink/metrics/otlp"
)

// A program pushes a metric of its own. Those of gadgets come from a metrics.Sink.
func ExampleExporter() {
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	}))
	defer receiver.Close()

	exporter, err := otlp.New(otlp.Config{Name: "main", Exporter: otlp.HTTP, Endpoint: receiver.URL}, slog.Default())
	if err != nil {
		fmt.Println(err)
		return
	}
	exporter.Start()
	readings := metrics.NewReadings([]metrics.Instrument{{Name: "jobs"}}, nil, func() []metrics.Reading {
		return []metrics.Reading{{Values: []metrics.Value{metrics.Whole(3)}}}
	})
	remove := exporter.Add("my-program", readings)
	remove() // pushes the last values
	if err := exporter.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%+v\n", exporter.Counts())
	// Output:
	// POST /v1/metrics application/x-protobuf
	// {Pushes:1 Failed:0 Points:1 Rejected:0 Dropped:0}
}
