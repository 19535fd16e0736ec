// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/term"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// defaultMode is the output mode when neither the user nor the data source names one.
const defaultMode = "columns"

// textSink writes events as text.
type textSink struct {
	formats map[event.SourceID]textFormat

	mu       sync.Mutex
	w        io.Writer
	encoders []boundEncoder
	buf      []byte
	// gathers: text waits for more if there is more, to be written in large pieces, as suits a file.
	gathers bool
	written int
	err     error // of writing: text of several sources may be gone
}

// textFormat is how the events of one data source are written.
type textFormat struct {
	encode.Format
	fields   string // those to show, as the user says
	chosen   bool   // the user says so
	settings annotation.Source
}

// newTextSink decides how the events of each data source are written.
func newTextSink(t *Text, specs specs, all []event.SourceID) (*textSink, error) {
	o := &textSink{w: t.W, gathers: isFile(t.W), formats: make(map[event.SourceID]textFormat)}
	modes, modesErr := perSource(t.Modes, ",", all)
	fields, fieldsErr := perSource(t.Fields, ";", all)
	errs := []error{about("output", modesErr), about("fields", fieldsErr)}
	for _, id := range all {
		settings, err := specs.settings(id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		mode, chosen := modes[id]
		format, err := formatOf(id, mode, chosen, &settings)
		errs = append(errs, about("output", err))
		text, chosen := fields[id]
		o.formats[id] = textFormat{format, text, chosen, settings}
	}
	return o, joinOnce(errs)
}

// formatOf returns the output format of a data source.
func formatOf(id event.SourceID, mode string, chosen bool, settings *annotation.Source) (encode.Format, error) {
	if !chosen {
		mode = settings.DefaultOutputMode
	}
	mode = cmp.Or(mode, defaultMode)
	if supported := settings.SupportedOutputModes; chosen && len(supported) > 0 && !slices.Contains(supported, mode) {
		return encode.Format{}, fmt.Errorf("data source %q has no output mode %q; it has %s", id, mode, strings.Join(supported, ", "))
	}
	return encode.Lookup(mode)
}

// pieceSize is what a file gets at least at once, and of what the end is a multiple: the kernel works on
// pages, and on several at once if they begin at such places.
const pieceSize = 256 << 10

type boundEncoder struct {
	schema *event.Schema
	encode.Encoder
	// head comes before the first event, or before each array.
	head []byte
	// clear: each array takes the place of the one before on the screen.
	clear bool
}

// clearScreen empties a terminal, from the upper left corner on. What has scrolled out of it stays.
const clearScreen = "\x1b[H\x1b[2J"

// Bind implements pipeline.Sink.
func (o *textSink) Bind(s *event.Schema) (event.FieldSet, error) {
	f := o.formats[s.ID()]
	var fields []int
	if f.chosen {
		var err error
		if fields, err = encode.Select(s, f.fields, encode.DefaultFields(s, f.Format)); err != nil {
			return event.FieldSet{}, about("fields", err)
		}
	}
	width := terminalWidth(o.w)
	enc, err := f.Bind(s, encode.Options{Fields: fields, Width: width})
	if err != nil {
		return event.FieldSet{}, fmt.Errorf("data source %q: %w", s.ID(), err)
	}
	e := boundEncoder{schema: s, Encoder: enc, head: enc.Head(nil)}
	if f.settings.ClearScreen && !s.Single && width > 0 && len(e.head) > 0 { // a table for people
		e.clear = true
		e.head = append([]byte(clearScreen), e.head...)
	}
	o.encoders = append(o.encoders, e)
	return encode.Need(s, f.Format, fields), nil
}

// begin writes what comes before the first event, once for tables that are headed alike. Arrays bring their own head, so one
// that is not to be cleared away would be there twice.
func (o *textSink) begin() error {
	for i := range o.encoders {
		e := &o.encoders[i]
		again := slices.ContainsFunc(o.encoders[:i], func(other boundEncoder) bool { return bytes.Equal(other.head, e.head) })
		if len(e.head) == 0 || again || !e.schema.Single && !e.clear {
			continue
		}
		if err := o.write(e.head); err != nil {
			return err
		}
	}
	return nil
}

// Write implements pipeline.Sink.
func (o *textSink) Write(b *event.Batch) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.encoders {
		e := &o.encoders[i]
		if e.schema != b.Schema {
			continue
		}
		if !b.Schema.Single {
			o.buf = append(o.buf, e.head...)
		}
		o.buf = e.Append(o.buf, b)
		break
	}
	n := len(o.buf)
	if b.More && o.gathers {
		if n < pieceSize {
			return nil
		}
		n -= (o.written + n) % pieceSize
	}
	return o.writeOut(n)
}

// writeOut writes the first n bytes of what has been gathered.
func (o *textSink) writeOut(n int) error {
	if n == 0 || o.err != nil {
		return o.err
	}
	err := o.write(o.buf[:n])
	o.buf = o.buf[:copy(o.buf, o.buf[n:])]
	if !errors.Is(err, pipeline.ErrDropped) {
		o.err = err
	}
	return err
}

func (o *textSink) write(text []byte) error {
	o.written += len(text)
	if _, err := o.w.Write(text); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// IsReaderGone reports whether a run ended because whoever read its text wanted no more of it, as head does after
// some lines. A recording whose reader has gone is a failure.
func IsReaderGone(err error) bool {
	return errors.Is(err, syscall.EPIPE) && !errors.Is(err, ErrRecord)
}

// terminalWidth returns the number of cells in a line of the terminal w, or 0 if it is none.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !isTerminal(f) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// isFile reports whether w is a file that the kernel keeps in pages.
func isFile(w io.Writer) bool {
	f, mode := fileOf(w)
	return f != nil && mode.IsRegular()
}

// fileOf returns the open file that w is, and its mode; nil if w is something else.
func fileOf(w io.Writer) (*os.File, os.FileMode) {
	f, ok := w.(*os.File)
	if !ok {
		return nil, 0
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0
	}
	return f, info.Mode()
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
