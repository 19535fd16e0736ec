// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/internal/cli/flags"
)

func metricsFlags(t *testing.T, args ...string) *flags.Metrics {
	t.Helper()
	var f flags.Metrics
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	f.Register(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &f
}

// Metrics are exported only if the user asks for it.
func TestMetricsAreNotExported(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--otel-metrics-listen=false", "--otel-metrics-listen-address=127.0.0.1:0"}} {
		f := metricsFlags(t, args...)
		exports, err := f.Open("1", nil)
		if err != nil || exports != nil || f.Exports() || exports.Options() != nil || exports.Close() != nil {
			t.Errorf("%q: %+v, %v", args, exports, err)
		}
	}
}

func TestMetricsEndpoint(t *testing.T) {
	t.Parallel()
	f := metricsFlags(t, "--otel-metrics-listen-address=127.0.0.1:0", "--otel-metrics-name", "a:b", "--metrics-max-series=7", "--metrics-expiry=1m")
	exports, err := f.Open("1.2.3", nil)
	if err != nil {
		t.Fatal(err)
	}
	options := exports.Options()
	if !f.Exports() || options.Names != "a:b" || options.Limits.MaxSeries != 7 || options.Limits.Expiry != time.Minute || len(options.To) != 1 {
		t.Errorf("got %+v", options)
	}
	where := strings.TrimPrefix(exports.Where(), "at ")
	r, err := http.Get(where)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || !strings.Contains(string(body), `gizmo_build_info{goversion="go1`) || !strings.Contains(string(body), `version="1.2.3"} 1`) {
		t.Errorf("%v: %s", err, body)
	}
	if err := exports.Close(); err != nil {
		t.Error(err)
	}
	if r, err := http.Get(where); err == nil {
		r.Body.Close()
		t.Error("the endpoint is open after Close")
	}
}

func TestWrongMetricsFlags(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	config := filepath.Join(t.TempDir(), "exporters.yaml")
	if err := os.WriteFile(config, []byte("operator: {otel-metrics: {exporters: {main: {exporter: otlp-http, endpoint: 127.0.0.1:1}}}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ flags, want string }{
		{"--metrics-max-series=0", "--metrics-max-series: want 1 or more, got 0"},
		{"--metrics-expiry=-1s", "--metrics-expiry: want 0 or more, got -1s"},
		{"--otel-metrics-name=a:b", "--otel-metrics-name: nobody gets the metrics without --otel-metrics-listen or --otel-metrics-exporter"},
		{"--otel-metrics-listen-address=" + taken.Addr().String(), "--otel-metrics-listen-address: open the endpoint for metrics: listen tcp " + taken.Addr().String() + ": bind: address already in use"},
		{"--otel-metrics-exporter=x", "--otel-metrics-exporter: the file with the exporters is missing: --otel-metrics-config FILE"},
		{"--otel-metrics-exporter=x --otel-metrics-config=/nonexistent", "--otel-metrics-config: "},
		{"--otel-metrics-exporter=mian --otel-metrics-config=" + config, `--otel-metrics-exporter: ` + config + ` has no exporter "mian"; did you mean "main"?`},
		{"--otel-metrics-listen-address=x", "--otel-metrics-listen-address: open the endpoint for metrics: listen tcp: address x: missing port in address"},
	} {
		exports, err := metricsFlags(t, strings.Fields(tt.flags)...).Open("", nil)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("got %v, %v; want %s", exports, err, tt.want)
		}
	}
}
