// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

const examples = "../../examples/metrics/"

// expressions returns the expressions of the dashboard and of the rules.
func expressions(t *testing.T) []string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	var rules struct {
		Groups []struct{ Rules []struct{ Expr string } }
	}
	text, err := os.ReadFile(examples + "dashboard.json")
	if err == nil {
		err = json.Unmarshal(text, &dashboard)
	}
	if err != nil {
		t.Fatal(err)
	}
	if text, err = os.ReadFile(examples + "gizmo.rules.yml"); err == nil {
		err = yaml.Unmarshal(text, &rules)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all = append(all, strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(target.Expr))
		}
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			all = append(all, r.Expr)
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d expressions", len(all))
	}
	return all
}

var ownMetric = regexp.MustCompile(`\bgizmo_[a-z_]+\b`)

// The real programs accept the dashboard's queries and the rules, and gizmo has the metrics that they name.
func TestExamplesOfMetrics(t *testing.T) {
	promtool := kerneltest.RequireProgram(t, "promtool")
	for _, args := range [][]string{{"check", "rules", examples + "gizmo.rules.yml"}, {"check", "config", examples + "prometheus.yml"}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v: %s", args, err, out)
		}
	}
	address := freeAddress(t)
	p := startPrometheus(t, address)
	startGizmo(t, "run", "trace_open", "--host", "-o", "none", "--otel-metrics-listen-address", address,
		"--otel-metrics-name", "open:files", "--annotate", "open:metrics.implicit-counter.name=opens")
	eventually(t, "Prometheus has asked gizmo", func() error {
		got, err := p.query("gizmo_build_info", "instance")
		if err == nil && len(got) != 1 {
			err = fmt.Errorf("got %v", got)
		}
		return err
	})
	have := p.names(t)
	for _, e := range expressions(t) {
		if _, err := p.query(e, "instance"); err != nil {
			t.Errorf("%s: %v", e, err)
		}
		for _, name := range ownMetric.FindAllString(e, -1) {
			if !have[name] {
				t.Errorf("%s: gizmo has no metric %s; it has %q", e, name, slices.Sorted(maps.Keys(have)))
			}
		}
	}
}

// names returns the names of all metrics.
func (p *prometheus) names(t *testing.T) map[string]bool {
	t.Helper()
	r, err := http.Get("http://" + p.address + "/api/v1/label/__name__/values")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var answer struct{ Data []string }
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]bool)
	for _, name := range answer.Data {
		all[name] = true
	}
	return all
}
