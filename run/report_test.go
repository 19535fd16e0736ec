// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// Gadgets of others list only the mode none, and expect policies nevertheless.
func TestNetworkPolicyIsTheDefault(t *testing.T) {
	t.Parallel()
	id := event.SourceID{Name: "network_connections"}
	none := []string{"none"}
	for _, tt := range []struct {
		name, mode string
		settings   annotation.Source
		want, err  string
	}{
		{"without other annotations", "", annotation.Source{NetworkPolicy: true}, "networkpolicy", ""},
		{"of others", "", annotation.Source{NetworkPolicy: true, SupportedOutputModes: none, DefaultOutputMode: "none"}, "networkpolicy", ""},
		{"of others, by name", "networkpolicy", annotation.Source{NetworkPolicy: true, SupportedOutputModes: none}, "networkpolicy", ""},
		{"of others, another", "none", annotation.Source{NetworkPolicy: true, SupportedOutputModes: none}, "none", ""},
		{"of others, a wrong one", "json", annotation.Source{NetworkPolicy: true, SupportedOutputModes: none}, "", "it has none, networkpolicy"},
		{"not asked for", "", annotation.Source{}, "columns", ""},
		{"not asked for, by name", "networkpolicy", annotation.Source{}, "networkpolicy", ""},
		{"not supported", "networkpolicy", annotation.Source{SupportedOutputModes: none}, "", "it has none"},
	} {
		f, err := formatOf(id, tt.mode, tt.mode != "", &tt.settings)
		if f.Name != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.HasSuffix(err.Error(), tt.err) {
			t.Errorf("%s: mode %q, error %v", tt.name, f.Name, err)
		}
	}
	wrong := &Text{W: io.Discard, Policies: "k9s"}
	var option *OptionError
	if _, err := newTextSink(wrong, nil, []event.SourceID{id}); !errors.As(err, &option) || option.Option != "policy-format" {
		t.Errorf("error %v", err)
	}
}

// countRows is a report that has room for some batches.
type countRows struct{ rows, room int }

func (c *countRows) Bind(*event.Schema) (event.FieldSet, error) { return event.FieldSet{}, nil }

func (c *countRows) Write(b *event.Batch) error {
	if c.room == 0 {
		return pipeline.ErrDropped
	}
	c.room--
	c.rows += len(b.Rows)
	return nil
}

func (c *countRows) Append(dst []byte) ([]byte, error) {
	return fmt.Appendf(dst, "%d rows\n", c.rows), nil
}

// reportTo returns an output of a report, and its data source.
func reportTo(w io.Writer, room int) (*textSink, *event.Schema) {
	s := &event.Schema{Name: "rows"}
	return &textSink{w: w, encoders: []boundEncoder{{schema: s, report: &countRows{room: room}}}}, s
}

func threeRows(s *event.Schema) *event.Batch {
	return &event.Batch{Schema: s, Rows: [][]byte{nil, nil, nil}}
}

func TestReportIsWrittenAtTheEnd(t *testing.T) {
	t.Parallel()
	file := &pieces{}
	o, s := reportTo(file, 2)
	if err := errors.Join(o.begin(), o.Write(threeRows(s)), o.Write(threeRows(s))); err != nil || len(file.text) > 0 {
		t.Fatalf("error %v, text %q", err, file.text)
	}
	if err := o.Write(threeRows(s)); !errors.Is(err, pipeline.ErrDropped) {
		t.Errorf("error %v", err)
	}
	if err := o.writeReports(); err != nil || string(file.text) != "6 rows\n" {
		t.Errorf("error %v, text %q", err, file.text)
	}
	o, _ = reportTo(&pieces{limit: 1}, 1)
	if err := o.writeReports(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v of a full disk", err)
	}
	if err := (*textSink)(nil).writeReports(); err != nil {
		t.Errorf("without text: %v", err)
	}
}

// In a queue, rows are delivered when their text is written.
func TestReportThroughAQueue(t *testing.T) {
	t.Parallel()
	file := &pieces{}
	o, s := reportTo(file, 2)
	o.q = newQueue(plainOutput{file}, true, func() {})
	books := new(tally)
	lateText{o}.Book(s, books)
	if err := errors.Join(o.Write(threeRows(s)), o.Write(threeRows(s)), o.Write(threeRows(s))); err != nil {
		t.Fatal(err)
	}
	if books.delivered != 0 || books.lost[event.OutputSlow] != 3 {
		t.Errorf("before the end: %d delivered, lost %v", books.delivered, books.lost)
	}
	if err := errors.Join(o.writeReports(), o.q.close()); err != nil || string(file.text) != "6 rows\n" {
		t.Errorf("error %v, text %q", err, file.text)
	}
	if books.delivered != 6 || books.lost[event.OutputSlow] != 3 {
		t.Errorf("at the end: %d delivered, lost %v", books.delivered, books.lost)
	}
}

// Metrics are written at intervals and once more at the end; on a terminal each text takes the place of the one before. A recording has
// the last text only.
func TestMetricsAreWrittenAtIntervals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		width    int
		recorded bool
		want     string // several times
	}{
		{"file", 0, false, "^(calls [0-9]+\n)*calls 6\n$"},
		{"terminal", 40, false, "^(\x1b\\[H\x1b\\[2Jcalls [0-9]+\n)*\x1b\\[H\x1b\\[2Jcalls 6\n$"},
		{"recording", 0, true, "^calls 6\n$"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := &pieces{}
			settings := annotation.Source{Metrics: annotation.SourceMetrics{CounterName: "calls", Print: true}}
			format, err := formatOf(event.SourceID{Name: "rows"}, "", false, &settings)
			if err != nil {
				t.Fatal(err)
			}
			r, err := newReport(&format, &settings, &Text{})
			if err != nil {
				t.Fatal(err)
			}
			s := &event.Schema{Name: "rows", Single: true}
			o := &textSink{w: file, width: tt.width, recorded: tt.recorded, printInterval: time.Millisecond, formats: map[event.SourceID]textFormat{
				s.ID(): {Format: format, report: r, settings: settings},
			}}
			if _, err := o.Bind(s); err != nil {
				t.Fatal(err)
			}
			err = errors.Join(o.begin(), o.Write(threeRows(s)))
			for length := 0; length < 100 && !tt.recorded; time.Sleep(time.Millisecond) {
				o.mu.Lock()
				length = len(file.text)
				o.mu.Unlock()
			}
			err = errors.Join(err, o.Write(threeRows(s)))
			o.stopTicking()
			if err := errors.Join(err, o.writeReports()); err != nil {
				t.Error(err)
			}
			if !regexp.MustCompile(tt.want).Match(file.text) {
				t.Errorf("got %q, want %s", file.text, tt.want)
			}
		})
	}
}

// The metrics of a data source with metrics.print take the place of its rows.
func TestMetricsArePrinted(t *testing.T) {
	t.Parallel()
	id := event.SourceID{Name: "rows"}
	printed := annotation.SourceMetrics{Print: true}
	for _, tt := range []struct {
		mode     string
		settings annotation.Source
		want     string
	}{
		{"", annotation.Source{Metrics: printed}, "histogram"},
		{"json", annotation.Source{Metrics: printed}, "metrics-json"},
		{"json", annotation.Source{Metrics: printed, SupportedOutputModes: []string{"none"}}, "metrics-json"},
		{"none", annotation.Source{Metrics: printed}, "none"},
		{"json", annotation.Source{Metrics: printed, SupportedOutputModes: []string{"json", "histogram"}}, "json"}, // the author says that rows have a sense
		{"", annotation.Source{Metrics: printed, SupportedOutputModes: []string{"json", "histogram"}, DefaultOutputMode: "json"}, "json"},
		{"json", annotation.Source{Metrics: annotation.SourceMetrics{Collect: true}}, "json"},
		{"metrics-json", annotation.Source{}, "metrics-json"},
	} {
		f, err := formatOf(id, tt.mode, tt.mode != "", &tt.settings)
		if err != nil || f.Name != tt.want {
			t.Errorf("mode %q of %+v: got %q, %v; want %s", tt.mode, tt.settings, f.Name, err, tt.want)
		}
	}
}

func TestMetricsMistakes(t *testing.T) {
	t.Parallel()
	id := event.SourceID{Name: "rows"}
	var option *OptionError
	if _, err := newTextSink(&Text{W: io.Discard, PrintInterval: time.Millisecond}, nil, []event.SourceID{id}); !errors.As(err, &option) || option.Option != "otel-metrics-print-interval" {
		t.Errorf("error %v", err)
	}
	o, err := newTextSink(&Text{W: io.Discard, Modes: "histogram"}, nil, []event.SourceID{id})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Bind(&event.Schema{Name: "rows"}); !errors.As(err, &option) || option.Option != "output" {
		t.Errorf("error %v", err)
	}
}
