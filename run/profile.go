// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/sink/profile"
	"github.com/gizmo-ebpf/gizmo/stage/stack"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// profileOutput makes a profile of the events of one data source, and writes it when the run ends.
type profileOutput struct {
	sink   *profile.Sink
	format string
	take   func(*profile.Profile) error // nil: it is written
	begun  bool
	// made is the profile once the events have ended.
	made *profile.Profile
	// recorded: the events come from a recording.
	recorded bool
}

func newProfileOutput(id event.SourceID, f *textFormat, t *Text) *profileOutput {
	settings := f.settings.Profile
	if settings.Name == "" {
		settings.Name = id.String()
	}
	p := &profileOutput{sink: profile.New(settings, 0), format: f.Name, take: t.Profile, recorded: t.recorded}
	if p.recorded {
		p.sink.Begin(t.start)
		p.sink.ReadAtOnce()
	}
	return p
}

// begin is called when events begin to come.
func (p *profileOutput) begin() {
	p.begun = true
	if !p.recorded {
		p.sink.Begin(time.Now())
	}
}

// end is called when no more events come. How long a recording took is unknown.
func (p *profileOutput) end() {
	if !p.recorded {
		p.sink.End(time.Now())
	}
}

func (p *profileOutput) bind(s *event.Schema, withFields bool) (event.FieldSet, error) {
	if withFields {
		return event.FieldSet{}, about("fields", fmt.Errorf("%s shows stacks, and no other fields; the annotation profiles.sample-attribute makes a field a label", p.format))
	}
	reads, err := p.sink.Bind(s)
	if err != nil {
		err = about("output", fmt.Errorf("%s: data source %q: %w", p.format, s.ID(), err))
	}
	return reads, err
}

// gather makes the profile of the events, which have ended.
func (p *profileOutput) gather() {
	if p.begun {
		p.end() // for sources that end by themselves
		p.made = p.sink.Profile()
	}
}

// finish writes the profile, and counts its events.
func (p *profileOutput) finish(w io.Writer) error {
	if p.made == nil {
		return nil
	}
	err := p.write(w, p.made)
	p.made = nil
	if err == nil {
		p.sink.Settle(nil)
		return nil
	}
	cause := causeOf(err)
	p.sink.Settle(&cause)
	if errors.Is(err, pipeline.ErrGivenUp) {
		return nil // the events are counted
	}
	return err
}

func (p *profileOutput) write(w io.Writer, made *profile.Profile) error {
	if p.take != nil {
		return p.take(made)
	}
	format, ok := profile.Lookup(p.format)
	if !ok {
		return fmt.Errorf("gizmo cannot write %s", p.format)
	}
	if err := format.Write(w, made); err != nil {
		return writeError(err)
	}
	return nil
}

// prepareLines prepares the profile for lines of source. It returns an error if nothing would show or record them.
func (o *textSink) prepareLines(options *Options, schemas []*event.Schema) error {
	switch {
	case !options.Lines:
	case o.profile == nil && options.Record == nil:
		names := encode.NamesOf(encode.ProfileFormats())
		return about("lines", fmt.Errorf("only profiles (%s) show lines of source, and recordings keep them", strings.Join(names, ", ")))
	case !o.recorded && !slices.ContainsFunc(schemas, stack.HasUserStacks):
		return about("lines", errors.New("the events have no stacks of processes"))
	case o.profile != nil && options.stacks != nil:
		o.profile.sink.EachStack(options.stacks.NotePlaces)
	}
	return nil
}

// findLines finds the lines of source of all stacks, and adds them to the profile. It returns nil if they are not wanted.
func (r *Run) findLines() *symbol.Lines {
	if !r.options.Lines {
		return nil
	}
	found := r.recordedLines
	if found == nil {
		found = r.options.stacks.FindLines()
	} else if found.Empty() {
		r.options.logger().Warn("the recording has no lines of source; gizmo run --record FILE --lines records them")
	}
	if text := r.assembly.text; text != nil && text.profile != nil && text.profile.made != nil {
		text.profile.made.AddLines(found)
	}
	return found
}

// sink returns the text output as the sink of a run.
func (o *textSink) sink() pipeline.Sink {
	if o.profile == nil {
		return o
	}
	return &profiledText{o, make(map[*event.Schema]pipeline.Books)}
}

// profiledText is a text output with a profile: its events count as delivered once that is written.
type profiledText struct {
	*textSink
	books map[*event.Schema]pipeline.Books // of the other data sources, which show nothing
}

// Book implements pipeline.Late.
func (t *profiledText) Book(s *event.Schema, books pipeline.Books) {
	if t.formats[s.ID()].Profile {
		t.profile.sink.Book(s, books)
		return
	}
	t.books[s] = books
}

// Write implements pipeline.Sink.
func (t *profiledText) Write(b *event.Batch) error {
	if books, ok := t.books[b.Schema]; ok {
		books.Delivered(len(b.Rows))
		return nil
	}
	return t.profile.sink.Write(b)
}

// WritesAtEnd reports whether the output is written only when the run has ended.
func (r *Run) WritesAtEnd() bool { return r.assembly.text != nil && r.assembly.text.profile != nil }
