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
	"time"

	"golang.org/x/term"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/outlet"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// defaultMode is the output mode when neither the user nor the data source names one.
const defaultMode = "columns"

// textSink writes events as text.
type textSink struct {
	formats map[event.SourceID]textFormat
	width   int // of the terminal; 0: the output is none

	mu       sync.Mutex
	w        io.Writer
	q        *queue         // takes the text in place of w; nil: the output is never slow
	out      *outlet.Outlet // what is below both; nil: w is no file
	encoders []boundEncoder
	buf      []byte
	part     event.Batch // what of a batch is being written
	memos    int         // encode.Options.Memos
	// gathers: text waits for more if there is more, to be written in large pieces, as suits a file.
	gathers  bool
	recorded bool // see Text
	// profile takes the events of one data source for a profile, which is written at the end; nil: there is none.
	profile *profileOutput
	// printInterval is the time from one text of reports to the next. endTicks ends them; nil: there are none.
	printInterval time.Duration
	endTicks      func()
	written       int
	err           error // of writing: text of several sources may be gone
}

// textFormat is how the events of one data source are written.
type textFormat struct {
	encode.Format
	report   report // of a format with Report
	fields   string // those to show, as the user says
	chosen   bool   // the user says so
	settings annotation.Source
}

// maxMemos limits how much text the encoders of a replay remember together: 9 MiB. The data source of a built-in gadget has up to a handful of memos.
const maxMemos = 64

// newTextSink decides how the events of each data source are written.
func newTextSink(t *Text, specs specs, all []event.SourceID) (*textSink, error) {
	o := &textSink{w: t.W, width: outlet.Width(t.W), gathers: isFile(t.W), formats: make(map[event.SourceID]textFormat), memos: maxMemos, recorded: t.recorded,
		printInterval: cmp.Or(t.PrintInterval, DefaultPrintInterval)}
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
		report, err := newReport(&format, &settings, t)
		errs = append(errs, err)
		text, chosen := fields[id]
		o.formats[id] = textFormat{format, report, text, chosen, settings}
	}
	errs = append(errs, about("output", o.prepareAlone(t, all)))
	return o, joinOnce(errs)
}

// ErrTerminal is wrapped by the error of an output format that is not for terminals.
var ErrTerminal = errors.New("the output is a terminal")

// prepareAlone prepares for packets or a profile, if there are any: they have the output to themselves.
func (o *textSink) prepareAlone(t *Text, all []event.SourceID) error {
	var alone event.SourceID
	shown := 0
	for _, id := range all {
		f := o.formats[id]
		if f.Packets || f.Profile {
			alone = id
		}
		if !f.NoFields {
			shown++
		}
	}
	f := o.formats[alone]
	what := "packets"
	switch {
	case f.Profile:
		what = "profile"
		o.profile = newProfileOutput(alone, &f, t)
	case !f.Packets:
		return nil
	}
	if shown > 1 {
		return fmt.Errorf("the output can hold the %s of one data source and nothing else: %s:%s, and none for the others", what, alone, f.Name)
	}
	o.gathers = false // a batch is written whole, so that a reader gets all packets that there are
	return nil
}

// formatOf returns the output format of a data source.
func formatOf(id event.SourceID, mode string, chosen bool, settings *annotation.Source) (encode.Format, error) {
	supported := settings.SupportedOutputModes
	if !chosen {
		mode = settings.DefaultOutputMode
	}
	if settings.NetworkPolicy && len(supported) > 0 {
		supported = append(slices.Clone(supported), encode.NetworkPolicy)
	}
	if settings.NetworkPolicy && !chosen {
		mode = encode.NetworkPolicy
	}
	if settings.Metrics.Print && len(supported) > 0 {
		supported = append(slices.Clone(supported), encode.Histogram, encode.MetricsJSON)
	}
	switch {
	case !settings.Metrics.Print:
	case mode == "" && !chosen:
		mode = encode.Histogram
	case mode == "json" && !slices.Contains(settings.SupportedOutputModes, mode): // the metrics take the place of the rows
		mode = encode.MetricsJSON
	}
	if mode == "" && len(supported) > 0 && !slices.Contains(supported, defaultMode) {
		mode = supported[0]
	}
	mode = cmp.Or(mode, defaultMode)
	if chosen && len(supported) > 0 && !slices.Contains(supported, mode) {
		return encode.Format{}, fmt.Errorf("data source %q has no output mode %q; it has %s", id, mode, strings.Join(supported, ", "))
	}
	return encode.Lookup(mode)
}

// isSilent reports whether nothing is ever written.
func (o *textSink) isSilent() bool {
	for _, f := range o.formats {
		if !f.NoFields {
			return false
		}
	}
	return true
}

// pieceSize is the least that a file gets at once. Writes end at multiples of it, because the kernel works on
// pages, and on several at once if they begin at such offsets.
const pieceSize = 256 << 10

type boundEncoder struct {
	schema *event.Schema
	encode.Encoder
	// head is the text before the first event, or before each array.
	head []byte
	// clear: each array replaces the one before on the screen.
	clear bool
	// lines: each event is a line.
	lines bool
	// rowText is the approximate length of the text of a row, without the trailing data.
	rowText int
	// inArray: a part of an array was written, and not its end.
	inArray bool
	// books is where the queue counts the rows that it has taken.
	books pipeline.Books
	// report gathers the rows; nil: the encoder writes them. gathered are those that wait for the report, if there is a queue.
	report   report
	gathered int
	// regular: the report is also written at intervals.
	regular bool
}

// textOf estimates the length of the text of a row: names, and values with three characters for each byte.
func textOf(s *event.Schema) int {
	const aroundValue = 16
	n := 0
	for i := range s.Fields {
		n += len(s.Fields[i].Name) + aroundValue + 3*int(s.Fields[i].Size)
	}
	return n
}

// rowsAtOnce limits how many rows are encoded before the length of the text is checked.
const rowsAtOnce = 64

// some returns the end of the rows of b, beginning at from, that are encoded together, so that the text is about a piece long.
func (e *boundEncoder) some(b *event.Batch, from int) (to int) {
	text := 0
	for to = from; to < len(b.Rows) && to < from+rowsAtOnce && text < pieceSize; to++ {
		text += e.rowText + 3*max(len(b.Rows[to])-int(e.schema.Size), 0)
	}
	return to
}

// clearScreen clears the screen of a terminal. Text that has scrolled off the screen stays.
const clearScreen = "\x1b[H\x1b[2J"

// Bind implements pipeline.Sink.
func (o *textSink) Bind(s *event.Schema) (event.FieldSet, error) {
	f := o.formats[s.ID()]
	if err := o.checkTerminal(f.Format); err != nil {
		return event.FieldSet{}, about("output", err)
	}
	if f.Profile {
		return o.profile.bind(s, f.chosen)
	}
	if f.report != nil {
		return o.bindReport(s, &f)
	}
	var fields []int
	if f.chosen {
		var err error
		if fields, err = encode.Select(s, f.fields, encode.DefaultFields(s, f.Format)); err != nil {
			return event.FieldSet{}, about("fields", err)
		}
	}
	options := encode.Options{Fields: fields, Width: o.width, Spill: o.spiller(), Packets: &f.settings.Packets}
	if o.recorded {
		options.Memos = &o.memos
	}
	enc, err := f.Bind(s, options)
	if err != nil {
		err = fmt.Errorf("data source %q: %w", s.ID(), err)
		if f.Packets {
			err = about("output", fmt.Errorf("%s: %w", f.Name, err))
		}
		return event.FieldSet{}, err
	}
	e := boundEncoder{schema: s, Encoder: enc, head: enc.Head(nil), lines: f.Lines && s.Single, rowText: textOf(s)}
	if f.settings.ClearScreen && !s.Single && o.width > 0 && len(e.head) > 0 { // a table for people
		e.clear = true
		e.head = append([]byte(clearScreen), e.head...)
	}
	o.encoders = append(o.encoders, e)
	return encode.Need(s, f.Format, fields), nil
}

// checkTerminal returns an error if the output is a terminal, and the format is not for terminals.
func (o *textSink) checkTerminal(f encode.Format) error {
	if out, _ := fileOf(o.w); !f.NoTerminal || out == nil || !isTerminal(out) {
		return nil
	}
	return fmt.Errorf("%s is not for terminals, and %w: write to a file or a pipe", f.Name, ErrTerminal)
}

// begin writes the heads before the first event, once for tables with the same head. Each array comes with its own head, so for arrays
// begin writes a head only if the first array will clear the screen.
func (o *textSink) begin() error {
	if o.profile != nil {
		o.profile.begin()
	}
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
	o.tick()
	return nil
}

// Write implements pipeline.Sink. It writes a batch with a long text in pieces.
func (o *textSink) Write(b *event.Batch) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.encoderOf(b.Schema)
	if e == nil {
		return o.writeOut(b.More)
	}
	if e.report != nil {
		return o.gather(e, b)
	}
	rows := 0 // in o.buf and not booked yet, if there is a queue
	for from := 0; ; {
		to := e.some(b, from)
		o.part.Part(b, from, to)
		o.encode(e, &o.part)
		rows += to - from
		from = to
		if from == len(b.Rows) {
			break
		}
		if len(o.buf) < pieceSize {
			continue
		}
		if err := o.hand(e, rows, true); err != nil {
			o.lose(e, len(b.Rows)-from, err)
			return err
		}
		rows = 0
	}
	return o.hand(e, rows, b.More)
}

// spiller returns encode.Options.Spill: it writes text of long rows before they end. It is nil for live events, which are short, and for a queue
// that may drop text, which must be whole rows.
func (o *textSink) spiller() func(text []byte) []byte {
	if !o.recorded || o.q != nil && !o.q.block {
		return nil
	}
	return func(text []byte) []byte {
		o.buf = text
		// The error comes again when the end of the row is written.
		if o.q != nil {
			_ = o.q.put(text, mark{})
			o.buf = text[:0]
		} else if err := o.writeOut(true); err != nil {
			o.buf = o.buf[:0]
		}
		return o.buf
	}
}

func (o *textSink) encoderOf(s *event.Schema) *boundEncoder {
	for i := range o.encoders {
		if o.encoders[i].schema == s {
			return &o.encoders[i]
		}
	}
	return nil
}

// encode appends the text of a part of a batch, which may be a part of an array.
func (o *textSink) encode(e *boundEncoder, b *event.Batch) {
	if !b.Schema.Single && !e.inArray {
		o.buf = append(o.buf, e.head...)
	}
	o.buf = e.Append(o.buf, b)
	e.inArray = b.Continues
}

// hand gives the text to the queue, which counts its rows, or writes it.
func (o *textSink) hand(e *boundEncoder, rows int, more bool) error {
	if o.q == nil {
		return o.writeOut(more)
	}
	err := o.q.put(o.buf, mark{rows: rows, lines: e.lines, books: e.books})
	o.buf = o.buf[:0]
	if p, ok := e.Encoder.(encode.PacketEncoder); ok {
		p.Taken(err == nil)
	}
	if err != nil {
		o.lose(e, rows, err)
	}
	if errors.Is(err, pipeline.ErrDropped) {
		return nil
	}
	return err
}

// lose counts rows that the queue did not take as lost.
func (o *textSink) lose(e *boundEncoder, rows int, err error) {
	if o.q != nil {
		e.books.Lost(rows, causeOf(err))
	}
}

// noteLost tells the encoder of packets of losses.
func (o *textSink) noteLost(s *event.Schema, lost []event.Loss) {
	if o == nil {
		return
	}
	if e := o.encoderOf(s); e != nil {
		if p, ok := e.Encoder.(encode.PacketEncoder); ok {
			for _, l := range lost {
				p.Lost(l.Count)
			}
		}
	}
}

// causeOf returns the cause of the losses that an error of writing leads to.
func causeOf(err error) event.Cause {
	if errors.Is(err, pipeline.ErrDropped) || errors.Is(err, pipeline.ErrGivenUp) {
		return event.OutputSlow
	}
	return event.OutputFailed
}

// writeOut writes the gathered text; if there is more to come, only up to a multiple of pieceSize.
func (o *textSink) writeOut(more bool) error {
	n := len(o.buf)
	if more && o.gathers {
		if n < pieceSize {
			return nil
		}
		n -= (o.written + n) % pieceSize
	}
	if n == 0 || o.err != nil {
		return o.err
	}
	err := o.write(o.buf[:n])
	if errors.Is(err, pipeline.ErrGivenUp) {
		o.buf = nil // it may be written yet
	}
	o.buf = o.buf[:copy(o.buf, o.buf[min(n, len(o.buf)):])]
	if !errors.Is(err, pipeline.ErrDropped) {
		o.err = err
	}
	return err
}

func (o *textSink) write(text []byte) error {
	o.written += len(text)
	if o.q != nil {
		return o.q.put(text, mark{})
	}
	if _, err := o.w.Write(text); err != nil {
		return writeError(err)
	}
	return nil
}

// writeError wraps an error of writing.
func writeError(err error) error {
	if errors.Is(err, outlet.ErrGivenUp) {
		return fmt.Errorf("write the output: %w: %w", pipeline.ErrGivenUp, err)
	}
	return fmt.Errorf("write the output: %w", err)
}

// lateText is text for a pipe, a socket or a terminal: its rows count as delivered once the kernel has their text.
type lateText struct{ *textSink }

// Book implements pipeline.Late.
func (l lateText) Book(s *event.Schema, books pipeline.Books) { l.encoderOf(s).books = books }

// IsReaderGone reports whether a run ended because the reader of its text closed it, as head does after
// some lines, or because the terminal has gone. A recording whose reader has gone is a failure.
func IsReaderGone(err error) bool {
	return (errors.Is(err, syscall.EPIPE) || errors.Is(err, outlet.ErrReaderGone)) && !errors.Is(err, ErrRecord)
}

// isSlow reports whether w may make a writer wait for long: a pipe, a socket or a terminal, but not a
// regular file.
func isSlow(w io.Writer) bool {
	f, mode := fileOf(w)
	return f != nil && (mode&(os.ModeNamedPipe|os.ModeSocket) != 0 || isTerminal(f))
}

// isFile reports whether w is a file that the kernel keeps in pages.
func isFile(w io.Writer) bool {
	f, mode := fileOf(w)
	return f != nil && mode.IsRegular()
}

// fileOf returns w as an open file, and its mode; nil if w is not a file.
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
