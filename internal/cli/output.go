// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// defaultMode is the output mode when neither the user nor the data source names one.
const defaultMode = "columns"

// outputFlags are the flags that say how events are written.
type outputFlags struct {
	modes  string
	fields string
}

func (f *outputFlags) register(fs *pflag.FlagSet) {
	var names []string
	for _, format := range encode.Formats() {
		names = append(names, format.Name)
	}
	fs.StringVarP(&f.modes, "output", "o", "", "output mode, or DATASOURCE:MODE,...: "+strings.Join(names, ", "))
	fs.StringVar(&f.fields, "fields", "", "fields to show: a,b exactly these; +a,-b relative to the default; DATASOURCE:a,b;... for each data source")
}

// mode returns the output mode of the data source.
func (f *outputFlags) mode(s *event.Schema, settings *annotation.Source, all []*event.Schema) (encode.Format, error) {
	modes, err := perSource(f.modes, ",", all)
	if err != nil {
		return encode.Format{}, fmt.Errorf("--output: %w", err)
	}
	name, chosen := modes[s.Name]
	if !chosen {
		name = settings.DefaultOutputMode
	}
	if name == "" {
		name = defaultMode
	}
	if chosen && len(settings.SupportedOutputModes) > 0 && !slices.Contains(settings.SupportedOutputModes, name) {
		return encode.Format{}, fmt.Errorf("--output: data source %q has no output mode %q; it has %s",
			s.Name, name, strings.Join(settings.SupportedOutputModes, ", "))
	}
	format, err := encode.Lookup(name)
	if err != nil {
		return encode.Format{}, fmt.Errorf("--output: %w", err)
	}
	return format, nil
}

// selected returns the fields that the user wants to see, or nil for the format's default.
func (f *outputFlags) selected(s *event.Schema, format encode.Format, all []*event.Schema) ([]int, error) {
	specs, err := perSource(f.fields, ";", all)
	if err != nil {
		return nil, fmt.Errorf("--fields: %w", err)
	}
	spec, ok := specs[s.Name]
	if !ok {
		return nil, nil
	}
	fields, err := encode.Select(s, spec, encode.DefaultFields(s, format))
	if err != nil {
		return nil, fmt.Errorf("--fields: %w", err)
	}
	return fields, nil
}

// perSource splits "a" or "ds:a<sep>ds2:b" into what it says for each data source. Text without a
// name counts for all.
func perSource(text, sep string, all []*event.Schema) (map[string]string, error) {
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	return perName(text, sep, names)
}

// perName is perSource for data sources by their names.
func perName(text, sep string, names []string) (map[string]string, error) {
	out := make(map[string]string)
	if text == "" {
		return out, nil
	}
	for _, part := range strings.Split(text, sep) {
		name, value, named := strings.Cut(part, ":")
		switch {
		case !named:
			for _, n := range names {
				out[n] = part
			}
		case !slices.Contains(names, name):
			return nil, fmt.Errorf("there is no data source %q%s", name, nearest.Hint(name, names))
		default:
			out[name] = value
		}
	}
	return out, nil
}

// output is the sink that writes events as text.
type output struct {
	mu       sync.Mutex
	w        io.Writer
	encoders []boundEncoder
	buf      []byte
	// gathers: text waits for more if there is more, to be written in large pieces, as suits a file.
	gathers bool
	written int
	err     error // of writing: text of several sources may be gone
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

// bind prepares the output for a data source and returns the fields that it needs.
func (o *output) bind(s *event.Schema, format encode.Format, fields []int, settings *annotation.Source) (event.FieldSet, error) {
	width := terminalWidth(o.w)
	enc, err := format.Bind(s, encode.Options{Fields: fields, Width: width})
	if err != nil {
		return event.FieldSet{}, fmt.Errorf("data source %q: %w", s.Name, err)
	}
	e := boundEncoder{schema: s, Encoder: enc, head: enc.Head(nil)}
	if settings.ClearScreen && !s.Single && width > 0 && len(e.head) > 0 { // a table for people
		e.clear = true
		e.head = append([]byte(clearScreen), e.head...)
	}
	o.encoders = append(o.encoders, e)
	return encode.Need(s, format, fields), nil
}

// begin writes what comes before the first event. Arrays bring their own head, so one that is not to
// be cleared away would be there twice.
func (o *output) begin() error {
	for i := range o.encoders {
		e := &o.encoders[i]
		if len(e.head) == 0 || !e.schema.Single && !e.clear {
			continue
		}
		if err := o.write(e.head); err != nil {
			return err
		}
	}
	return nil
}

// Write implements pipeline.Sink.
func (o *output) Write(b *event.Batch) error {
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
func (o *output) writeOut(n int) error {
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

func (o *output) write(text []byte) error {
	o.written += len(text)
	if _, err := o.w.Write(text); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
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
