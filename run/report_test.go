// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

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
