// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package export

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

// reader is an exporter that shows what it exports.
type reader struct{ scopes, texts []string }

func (r *reader) Add(scope string, m metrics.Reader) (remove func()) {
	r.scopes = append(r.scopes, scope)
	return func() {
		var s metrics.Snapshot
		m.Snapshot(&s)
		r.texts = append(r.texts, string(s.AppendText(nil)))
	}
}

// numbers is a data source with one field.
func numbers(name string, says event.InMetrics) *event.Schema {
	return &event.Schema{Name: name, Single: true, Size: 1, Fields: []event.Field{
		{Name: "n", Kind: event.Uint, Parent: event.NoParent, Size: 1, Ann: event.Annotations{Metric: &says}},
	}}
}

func batchOf(s *event.Schema, numbers ...byte) *event.Batch {
	b := &event.Batch{}
	b.Reset(s)
	for _, n := range numbers {
		b.Rows = append(b.Rows, []byte{n})
	}
	return b
}

// The metrics of the data sources that were named are exported with those about gizmo, until the end.
func TestExport(t *testing.T) {
	t.Parallel()
	to := &reader{}
	var log strings.Builder
	e := New(&Options{
		Sources: []Source{{ID: event.SourceID{Name: "a"}, Settings: annotation.SourceMetrics{CounterName: "rows"}, Scope: "mine"}},
		Limits:  metrics.Options{MaxSeries: 1}, To: []metrics.Exporter{to}, Own: []metrics.Exporter{to}, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	a, b := numbers("a", event.InMetrics{Role: event.KeyRole}), numbers("b", event.InMetrics{Role: event.CounterRole})
	for _, s := range []*event.Schema{a, b} {
		if _, err := e.Bind(s); err != nil {
			t.Fatal(err)
		}
	}
	var ledger pipeline.Ledger
	account := ledger.Account(event.SourceID{Name: "a"}, "text")
	account.Deliver(3)
	account.Lose(event.Loss{CPU: 0, Cause: event.OutputSlow, Count: 1}, event.Loss{CPU: 1, Cause: event.OutputSlow, Count: 2})
	programs := Programs(func() (map[string][]gadget.ProgramStats, error) {
		return map[string][]gadget.ProgramStats{"": {{Name: "p", Section: "raw_tp/x", Runs: 2, Time: 3000, Instructions: 4, Verified: 5, Missed: 6}}}, errors.New("not all")
	})
	e.Start(append(Ledger(&ledger), programs)...)
	for _, batch := range []*event.Batch{batchOf(a, 1, 1), batchOf(b, 9), batchOf(a, 2, 3)} {
		if err := e.Write(batch); err != nil {
			t.Fatal(err)
		}
	}
	e.End()
	e.End()
	if want := []string{"mine", "gizmo", "gizmo", "gizmo", "gizmo"}; !slices.Equal(to.scopes, want) {
		t.Errorf("scopes %q, want %q", to.scopes, want)
	}
	want := []string{
		`rows{n="1"} 2` + "\n" + `rows{otel.metric.overflow="true"} 2` + "\n",
		`gizmo.events.produced{datasource="a",sink="text"} 6` + "\n" +
			`gizmo.events.delivered{datasource="a",sink="text"} 3` + "\n" +
			`gizmo.events.filtered{datasource="a",sink="text"} 0` + "\n",
		`gizmo.events.lost{datasource="a",sink="text",cause="buffer full"} 0` + "\n" +
			`gizmo.events.lost{datasource="a",sink="text",cause="output too slow"} 3` + "\n",
		`gizmo.program.runs{program="p",hook="raw_tp/x"} 2` + "\n" +
			`gizmo.program.run.time{program="p",hook="raw_tp/x"} 3e-06 s` + "\n" +
			`gizmo.program.missed{program="p",hook="raw_tp/x"} 6` + "\n" +
			`gizmo.program.instructions{program="p",hook="raw_tp/x"} 4` + "\n" +
			`gizmo.program.verified.instructions{program="p",hook="raw_tp/x"} 5` + "\n",
		`gizmo.metrics.series{datasource="a"} 1` + "\n" + `gizmo.metrics.overflow.rows{datasource="a"} 2` + "\n",
	}
	if !slices.Equal(to.texts, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(to.texts, "--\n"), strings.Join(want, "--\n"))
	}
	if n := strings.Count(log.String(), "too many series"); n != 1 {
		t.Errorf("it was told %d times that there are too many series: %s", n, log.String())
	}
}

// Metrics that a collector would refuse are an error.
func TestMetricsThatDoNotFit(t *testing.T) {
	t.Parallel()
	counter, gauge := event.InMetrics{Role: event.CounterRole, Name: "value"}, event.InMetrics{Role: event.GaugeRole, Name: "value_total"}
	for _, tt := range []struct {
		a, b event.InMetrics
		want string
	}{
		{counter, counter, ""},
		{counter, gauge, `metrics: "value_total" is a gauge of data source "b", and a counter of data source "a"; the annotation metrics.name gives one another name`},
		{counter, event.InMetrics{Role: event.KeyRole}, `data source "b": metrics: no field is a counter, gauge or histogram; the annotation metrics.implicit-counter.name makes a counter of the events`},
	} {
		e := New(&Options{Sources: []Source{{ID: event.SourceID{Name: "a"}}, {ID: event.SourceID{Name: "b"}}}})
		_, errA := e.Bind(numbers("a", tt.a))
		_, errB := e.Bind(numbers("b", tt.b))
		if got := errors.Join(errA, errB); (got == nil) != (tt.want == "") || got != nil && got.Error() != tt.want {
			t.Errorf("got %v, want %s", got, tt.want)
		}
	}
}
