// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pprofile "github.com/google/pprof/profile"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
	"github.com/gizmo-ebpf/gizmo/semtype"
	"github.com/gizmo-ebpf/gizmo/sink/profile"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// oneStack is a table in which each handle stands for the calls of "main" by "_start".
type oneStack struct{}

func (oneStack) Bytes(event.Handle) []byte { return nil }
func (oneStack) Bits(event.Handle) uint64  { return 0 }
func (oneStack) Stack(event.Handle) *symbol.Stack {
	location := func(name string) *symbol.Location {
		return &symbol.Location{Function: &symbol.Function{Name: name, System: name}, Module: &symbol.Module{Name: "/bin/app"}}
	}
	return &symbol.Stack{Addresses: []uint64{1, 2}, Locations: []*symbol.Location{location("main"), location("_start")}}
}

// sampled returns a data source with stacks and a source of three events, one of them without a stack.
func sampled(name string) *pipelinetest.Script {
	s := &event.Schema{Name: name, Single: true, Size: 16, Fields: []event.Field{{Name: "comm", Kind: event.String, Size: 16, Parent: event.NoParent}}}
	s.AddColumn(event.Field{Name: "ustack.symbols", Kind: event.String, Parent: event.NoParent, Table: oneStack{}})
	row := append([]byte("app"), make([]byte, 13)...)
	return &pipelinetest.Script{DataSources: []*event.Schema{s}, Batches: []pipelinetest.Batch{
		{Schema: s, Rows: [][]byte{row, row}, Handles: [][]event.Handle{{1, 1}}, Lost: []event.Loss{{CPU: 1, Count: 4}}},
		{Schema: s, Rows: [][]byte{row}},
	}}
}

// profileRun runs sources.
func profileRun(ctx context.Context, t *testing.T, text *Text, all specs, sources ...*pipelinetest.Script) (*Run, error) {
	t.Helper()
	r := &Run{options: Options{Text: text, DrainTimeout: 50 * time.Millisecond}}
	for _, src := range sources {
		r.sources = append(r.sources, src)
	}
	if err := r.assemble(all, &semtype.Env{}); err != nil {
		return r, err
	}
	return r, r.Run(ctx)
}

const foldedSamples = "app;[no stack] 1\napp;_start;main 2\n"

// totalsOf returns delivered, filtered, lost.
func totalsOf(r *Run, source string) string {
	return fmt.Sprint(r.ledger.Account(event.SourceID{Name: source}, textName).Totals())
}

func TestProfileIsWrittenAtTheEnd(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r, err := profileRun(t.Context(), t, &Text{W: &out, Modes: "folded"}, nil, sampled("a"))
	if err != nil || out.String() != foldedSamples || totalsOf(r, "a") != "{3 0 4}" || !r.WritesAtEnd() {
		t.Errorf("%q, %v, %s", out.String(), err, totalsOf(r, "a"))
	}
	// Also if the run is interrupted.
	out.Reset()
	live := sampled("a")
	live.Live = true
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	r, err = profileRun(ctx, t, &Text{W: &out, Modes: "pprof"}, specs{{Name: "a"}: {Source: annotation.Set{"profiles.frequency": "10"}}}, live)
	if err != nil || totalsOf(r, "a") != "{3 0 4}" {
		t.Errorf("interrupted: %v, %s", err, totalsOf(r, "a"))
	}
	p, err := pprofile.Parse(&out)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Duration(p.DurationNanos); took < 10*time.Millisecond || took > 10*time.Second || time.Since(time.Unix(0, p.TimeNanos)) > time.Minute {
		t.Errorf("it began at %d and took %v", p.TimeNanos, took)
	}
	if len(p.SampleType) != 2 || p.Sample[0].Value[1]+p.Sample[1].Value[1] != 300_000_000 {
		t.Errorf("got %v", p)
	}
}

// A recording says when it began; how long it took is unknown, and the bytes do not depend on when it is replayed.
func TestProfileOfRecording(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_500_000_000, 7)
	var first, second bytes.Buffer
	for _, w := range []io.Writer{&first, &second} {
		if _, err := profileRun(t.Context(), t, &Text{W: w, Modes: "pprof", recorded: true, start: began}, nil, sampled("a")); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two replays give different bytes")
	}
	if p, err := pprofile.Parse(&first); err != nil || p.TimeNanos != began.UnixNano() || p.DurationNanos != 0 {
		t.Errorf("%v, %v", p, err)
	}
}

// A program gets the profile itself; the run fails if it returns an error, and then the events are not delivered.
func TestProfileForProgram(t *testing.T) {
	t.Parallel()
	var total int64
	bad := errors.New("no good")
	r, err := profileRun(t.Context(), t, &Text{W: io.Discard, Modes: "folded", Profile: func(p *profile.Profile) error {
		total = p.Total(p.Default)
		return bad
	}}, nil, sampled("a"))
	if total != 3 || !errors.Is(err, bad) || totalsOf(r, "a") != "{0 0 7}" {
		t.Errorf("%d events, %v, %s", total, err, totalsOf(r, "a"))
	}
}

// Other data sources show nothing, and their events count as delivered.
func TestProfileBesideNothing(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r, err := profileRun(t.Context(), t, &Text{W: &out, Modes: "a:folded,b:none"}, nil, sampled("a"), sampled("b"))
	if err != nil || out.String() != foldedSamples || totalsOf(r, "a") != "{3 0 4}" || totalsOf(r, "b") != "{3 0 4}" {
		t.Errorf("%q, %v, %s, %s", out.String(), err, totalsOf(r, "a"), totalsOf(r, "b"))
	}
}

// A file, a full disk, and a pipe whose reader reads nothing.
func TestProfileToFiles(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "profile"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := profileRun(t.Context(), t, &Text{W: file, Modes: "folded"}, nil, sampled("a")); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file.Name()); err != nil || string(text) != foldedSamples {
		t.Errorf("the file has %q, %v", text, err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	r, err := profileRun(t.Context(), t, &Text{W: full, Modes: "folded"}, nil, sampled("a"))
	if err == nil || !strings.HasPrefix(err.Error(), "write the output: ") || totalsOf(r, "a") != "{0 0 7}" {
		t.Errorf("a full disk: %v, %s", err, totalsOf(r, "a"))
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	long := sampled("a")
	long.Live = true
	r, err = profileRun(ctx, t, &Text{W: write, Modes: "flamegraph", Profile: nil}, specs{{Name: "a"}: {Source: annotation.Set{"profiles.name": strings.Repeat("long ", 20_000)}}}, long)
	lost := r.ledger.Account(event.SourceID{Name: "a"}, textName).Losses()
	if err != nil || totalsOf(r, "a") != "{0 0 7}" || lost[0].Cause != event.OutputSlow {
		t.Errorf("a pipe that is full: %v, %s, %v", err, totalsOf(r, "a"), lost)
	}
}

func TestProfileErrors(t *testing.T) {
	t.Parallel()
	terminal, _ := newTerminal(t)
	stacks := specs{{Name: "a"}: {Source: annotation.Set{"profiles.stack-fields": "comm"}}}
	for _, c := range []struct {
		text Text
		all  specs
		want string
	}{
		{Text{Modes: "a:folded"}, nil, "output: the output can hold the profile of one data source and nothing else: a:folded, and none for the others"},
		{Text{Modes: "a:pprof,b:none", W: terminal}, nil, "output: pprof is not for terminals, and the output is a terminal: write to a file or a pipe"},
		{Text{Modes: "a:flamegraph,b:none", W: terminal}, nil, "output: flamegraph is not for terminals, and the output is a terminal: write to a file or a pipe"},
		{Text{Modes: "a:folded,b:none", Fields: "comm"}, nil, "fields: folded shows stacks, and no other fields"},
		{Text{Modes: "a:folded,b:none"}, stacks, `output: folded: data source "a": profiles.stack-fields: "comm" is no field with a stack; those are ustack.symbols`},
	} {
		r := &Run{options: Options{Text: &c.text}}
		for _, name := range []string{"a", "b"} {
			r.sources = append(r.sources, sampled(name))
		}
		err := r.assemble(c.all, &semtype.Env{})
		if err == nil {
			err = r.assembly.check()
		}
		var option *OptionError
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || !errors.As(err, &option) {
			t.Errorf("%+v: got %v, want %s", c.text, err, c.want)
		}
	}
	plain := sampled("a")
	plain.DataSources[0].Fields[1].Table = new(event.Texts)
	_, err := profileRun(t.Context(), t, &Text{W: io.Discard, Modes: "pprof"}, nil, plain)
	if err == nil || !strings.Contains(err.Error(), `output: pprof: data source "a": its events have no stacks`) {
		t.Errorf("without stacks: %v", err)
	}
}

// Package encode lists the formats that package profile writes.
func TestFormatsOfProfiles(t *testing.T) {
	t.Parallel()
	var names []string
	for _, f := range profile.Formats() {
		names = append(names, f.Name)
	}
	if got := encode.NamesOf(encode.ProfileFormats()); strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("encode has %v, profile %v", got, names)
	}
	for _, f := range encode.ProfileFormats() {
		if _, err := f.Bind(nil, encode.Options{}); err == nil || !f.Profile {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}

var _ pipeline.Late = (*profiledText)(nil)

// Lines of source need something that shows or keeps them, and events that can have some.
func TestLinesForNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		options Options
		want    string
	}{
		{Options{Text: &Text{Modes: "json"}}, "lines: only profiles (pprof, folded, flamegraph) show lines of source, and recordings keep them"},
		{Options{Text: &Text{Modes: "folded"}}, "lines: the events have no stacks of processes"},
		{Options{Text: &Text{Modes: "json"}, Record: &Recording{}}, "lines: the events have no stacks of processes"},
		{Options{Text: &Text{Modes: "folded", recorded: true}}, ""},
	} {
		c.options.Lines = true
		r := &Run{options: c.options, sources: []pipeline.Source{sampled("a")}}
		err := r.assemble(nil, &semtype.Env{})
		var option *OptionError
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want || !errors.As(err, &option)) {
			t.Errorf("%+v: got %v, want %s", c.options.Text, err, c.want)
		}
	}
}
