// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// A run with few system calls left pushes its metrics, and the last values at its end.
func TestPushedMetrics(t *testing.T) {
	kerneltest.RequireRoot(t)
	var mu sync.Mutex
	var all []byte
	pushes := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		pushes++
		all = append(all, body...)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer server.Close()
	config := filepath.Join(t.TempDir(), "exporters.yaml")
	text := fmt.Sprintf("operator.otel-metrics.exporters.main: {exporter: otlp-http, endpoint: %q, interval: 200ms, collectIGMetrics: true}\n", server.URL)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o := startOpener(t)
	g := start(t, setup{}, "run", "trace_open", "-o", "none", "--pid", o.pid(), "--otel-metrics-exporter", "main", "--otel-metrics-config", config,
		"--otel-metrics-name", "open:files", "--annotate", "open:metrics.implicit-counter.name=opens,open.fname:metrics.type=key")
	g.waitAttached(t)
	o.open(t, 10, "/proc/version")
	eventually(t, "metrics are pushed", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return pushes > 1
	})
	o.open(t, 1, "/proc/nonexistent/last")
	g.interrupt(t)
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"opens", "/proc/version", "/proc/nonexistent/last", "gizmo.events.delivered"} {
		if !bytes.Contains(all, []byte(want)) {
			t.Errorf("none of %d pushes has %s", pushes, want)
		}
	}
	if want := "gizmo: metrics to " + server.URL + ": open as files\n"; g.err.String() != want {
		t.Errorf("standard error is %q, want %q", strings.TrimSpace(g.err.String()), want)
	}
}
