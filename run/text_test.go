// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
)

func TestPerSource(t *testing.T) {
	one, two := event.SourceID{Name: "one"}, event.SourceID{Name: "two"}
	all := []event.SourceID{one, two}
	type texts = map[event.SourceID]string
	for _, c := range []struct {
		text, sep string
		want      texts
	}{
		{"", ",", nil},
		{"json", ",", texts{one: "json", two: "json"}},
		{"one:json", ",", texts{one: "json"}},
		{"one:json,two:yaml", ",", texts{one: "json", two: "yaml"}},
		{"json,two:yaml", ",", texts{one: "json", two: "yaml"}},
		{"two:a,b;one:c", ";", texts{one: "c", two: "a,b"}},
		{"+a,-b", ";", texts{one: "+a,-b", two: "+a,-b"}},
		{"one:a:b", ";", texts{one: "a:b"}},
		{"one:", ";", texts{one: ""}},
	} {
		got, err := perSource(c.text, c.sep, all)
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%q: %v, %v; want %v", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"onne:json", ":json", "one:json,twoo:json"} {
		if got, err := perSource(text, ",", all); err == nil || !strings.Contains(err.Error(), "there is no data source") {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	// Of two gadgets with a data source of the same name either, or both, can be meant.
	first, second := event.SourceID{Gadget: "a", Name: "open"}, event.SourceID{Gadget: "b", Name: "open"}
	for text, want := range map[string]texts{
		"json": {first: "json", second: "json"}, "open:json": {first: "json", second: "json"},
		"a/open:json": {first: "json"}, "open:yaml,b/open:json": {first: "yaml", second: "json"},
	} {
		if got, err := perSource(text, ",", []event.SourceID{first, second}); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
}

// pieces is a file that notes how it is written, and takes at most limit bytes; 0: any number.
type pieces struct {
	text  []byte
	sizes []int
	limit int
}

func (p *pieces) Write(text []byte) (int, error) {
	if p.limit > 0 && len(p.text)+len(text) > p.limit {
		return 0, syscall.ENOSPC
	}
	p.text, p.sizes = append(p.text, text...), append(p.sizes, len(text))
	return len(text), nil
}

// lineEncoder writes each row as a line.
type lineEncoder struct{}

func (lineEncoder) Head(dst []byte) []byte { return append(dst, "head\n"...) }
func (lineEncoder) Append(dst []byte, b *event.Batch) []byte {
	for _, row := range b.Rows {
		dst = append(append(dst, row...), '\n')
	}
	return dst
}

// linesTo returns an output that gathers, and a function that writes the next batch of the given number of lines to it.
func linesTo(p *pieces, gathers bool) (*textSink, func(lines int, more bool) error) {
	s := &event.Schema{Name: "lines", Single: true}
	o := &textSink{w: p, gathers: gathers, encoders: []boundEncoder{{schema: s, Encoder: lineEncoder{}, head: []byte("head\n")}}}
	n := 0
	return o, func(lines int, more bool) error {
		b := event.Batch{Schema: s, More: more}
		for range lines {
			n++
			b.Rows = append(b.Rows, fmt.Appendf(nil, "%090d", n))
		}
		return o.Write(&b)
	}
}

// While there is more, a file gets large pieces that end where such pieces do; in the end all of the text in its order.
func TestFilesAreWrittenInPieces(t *testing.T) {
	file := &pieces{}
	o, write := linesTo(file, true)
	if err := o.begin(); err != nil {
		t.Fatal(err)
	}
	const batches, lines = 40, 1000
	for i := range batches {
		if err := write(lines, i < batches-1); err != nil {
			t.Fatal(err)
		}
	}
	end := len("head\n")
	for i, size := range file.sizes[1:] {
		if i < len(file.sizes)-2 && (i > 0 && size < pieceSize || (end+size)%pieceSize != 0) {
			t.Errorf("piece %d of %d bytes ends at %d", i, size, end+size)
		}
		end += size
	}
	want := []byte("head\n")
	for i := range batches * lines {
		want = fmt.Appendf(want, "%090d\n", i+1)
	}
	if !bytes.Equal(file.text, want) || len(file.sizes) < 5 {
		t.Errorf("%d bytes in %d pieces, want %d bytes", len(file.text), len(file.sizes), len(want))
	}
}

// Gathered text is written when there is no more, even if the last batch has no rows.
func TestGatheredTextIsWrittenAtTheEnd(t *testing.T) {
	file := &pieces{}
	_, write := linesTo(file, true)
	for _, c := range []struct {
		lines, after int
		more         bool
	}{{1, 0, true}, {1, 0, true}, {0, 2, false}, {1, 3, false}, {0, 3, true}, {0, 3, false}} {
		if err := write(c.lines, c.more); err != nil || len(file.text) != c.after*91 {
			t.Errorf("%+v: %d bytes, %v", c, len(file.text), err)
		}
	}
	other := &pieces{}
	_, write = linesTo(other, false) // a terminal, a pipe
	if err := write(1, true); err != nil || len(other.text) != 91 {
		t.Errorf("%d bytes, %v", len(other.text), err)
	}
}

// After an error later rows never count as written, because some of the gathered text is lost.
func TestOutputThatFailedStaysSo(t *testing.T) {
	file := &pieces{limit: 1000}
	_, write := linesTo(file, true)
	for i, want := range []error{nil, syscall.ENOSPC, syscall.ENOSPC, syscall.ENOSPC} {
		if err := write([]int{10, 3, 1, 0}[i], false); !errors.Is(err, want) {
			t.Errorf("write %d: %v, want %v", i, err, want)
		}
	}
	if len(file.text) != 910 {
		t.Errorf("%d bytes", len(file.text))
	}
}

func TestMode(t *testing.T) {
	id := event.SourceID{Name: "one"}
	limited := annotation.Source{DefaultOutputMode: "yaml", SupportedOutputModes: []string{"yaml", "json"}}
	for _, c := range []struct {
		name, modes string
		settings    annotation.Source
		want        string // a format, or part of an error
	}{
		{name: "no choice", want: "columns"},
		{name: "the user does", modes: "json", want: "json"},
		{name: "the gadget does", settings: limited, want: "yaml"},
		{name: "both do", modes: "json", settings: limited, want: "json"},
		{name: "they disagree", modes: "columns", settings: limited, want: `data source "one" has no output mode "columns"; it has yaml, json`},
		{name: "no such format", modes: "jsno", want: `did you mean "json"?`},
		{name: "no such source", modes: "on:json", want: `there is no data source "on"; did you mean "one"?`},
		{name: "columns are not for this", settings: annotation.Source{SupportedOutputModes: []string{"jsonpretty", "json"}}, want: "jsonpretty"},
		{name: "columns are, too", settings: annotation.Source{SupportedOutputModes: []string{"json", "columns"}}, want: "columns"},
		{name: "no such default", settings: annotation.Source{DefaultOutputMode: "jsno"}, want: `"jsno"`},
	} {
		set := annotation.Set{}
		if c.settings.DefaultOutputMode != "" {
			set["cli.default-output-mode"] = c.settings.DefaultOutputMode
		}
		if list := c.settings.SupportedOutputModes; len(list) > 0 {
			set["cli.supported-output-modes"] = strings.Join(list, ",")
		}
		sink, err := newTextSink(&Text{Modes: c.modes}, specs{id: {Source: set}}, []event.SourceID{id})
		got := sink.formats[id].Name
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
