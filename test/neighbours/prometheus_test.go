// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
)

// prometheus is a server that scrapes a gizmo each second.
type prometheus struct{ address string }

// startPrometheus starts a server that scrapes an address.
func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	b := newBed(t, "prometheus")
	p := &prometheus{freeAddress(t)}
	config := b.write(t, "prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 1s}
scrape_configs:
- job_name: gizmo
  static_configs: [{targets: [%q]}]
`, target), 0o600)
	b.spawn(t, nil, func() error {
		r, err := http.Get("http://" + p.address + "/-/ready")
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return errors.New(r.Status)
		}
		return nil
	}, "prometheus", "--config.file="+config, "--storage.tsdb.path="+b.path("data"), "--web.listen-address="+p.address, "--log.level=warn")
	return p
}

// freeAddress returns an address of this machine that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// query returns the values of an expression by one label.
func (p *prometheus) query(expression, label string) (map[string]float64, error) {
	r, err := http.Get("http://" + p.address + "/api/v1/query?query=" + url.QueryEscape(expression))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	var answer struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, errors.New(answer.Error)
	}
	values := make(map[string]float64)
	for _, one := range answer.Data.Result {
		text, _ := one.Value[1].(string)
		if values[one.Metric[label]], err = strconv.ParseFloat(text, 64); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// wantEventually waits until an expression has these values.
func (p *prometheus) wantEventually(t *testing.T, expression, label string, want map[string]float64) {
	t.Helper()
	eventually(t, expression, func() error {
		got, err := p.query(expression, label)
		if err == nil && !maps.Equal(got, want) {
			err = fmt.Errorf("got %v, want %v", got, want)
		}
		return err
	})
}

// Prometheus has exactly the numbers that a workload has caused, and what gizmo says about the run.
func TestPrometheus(t *testing.T) {
	address := freeAddress(t)
	p := startPrometheus(t, address)
	g := startGizmo(t, "run", "trace_open", "--host", "-o", "none", "-v", "--filter", fmt.Sprintf("proc.pid==%d,fname~^/proc/(version|nonexistent)$", os.Getpid()),
		"--otel-metrics-listen-address", address, "--otel-metrics-name", "open:files",
		"--annotate", "open:metrics.implicit-counter.name=opens,open.proc.pid:metrics.type=key,open.error:metrics.type=key")
	opens := map[string]int{"/proc/version": 1234, "/proc/nonexistent": 321}
	for path, n := range opens {
		for range n {
			f, err := os.Open(path)
			if err == nil {
				f.Close()
			} else if !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
	want := map[string]float64{"": 1234, "ENOENT": 321}
	p.wantEventually(t, fmt.Sprintf(`opens_total{otel_scope_name="files",proc_pid="%d"}`, os.Getpid()), "error", want)
	p.wantEventually(t, `sum by (sink) (gizmo_events_delivered_total{datasource="open"})`, "sink", map[string]float64{"metrics": 1555, "text": 1555})
	p.wantEventually(t, `sum by (cause) (gizmo_events_lost_total)`, "cause", map[string]float64{"buffer full": 0})
	p.wantEventually(t, `count by (version) (gizmo_build_info) > 0`, "none", map[string]float64{"": 1})
	for _, expression := range []string{
		`sum(gizmo_program_runs_total) >= 2*1555`, `sum(gizmo_program_run_time_seconds_total) > 0`, `sum(gizmo_program_verified_instructions) > 0`,
		`gizmo_metrics_series == 2`, `process_resident_memory_bytes > 0`, `up == 1`,
	} {
		eventually(t, expression, func() error {
			got, err := p.query(expression, "none")
			if err == nil && len(got) != 1 {
				err = errors.New("it is not so")
			}
			return err
		})
	}
	if !strings.Contains(g.err.text(), "gizmo: metrics at http://"+address+"/metrics: open as files\n") {
		t.Errorf("gizmo says: %s", g.err.text())
	}
	if rows := g.end(t); len(rows) != 0 {
		t.Errorf("-o none has %d rows", len(rows))
	}
}
