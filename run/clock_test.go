// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/clock"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/host"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
	"github.com/gizmo-ebpf/gizmo/wire"
)

func TestClockSourceContract(t *testing.T) {
	pipelinetest.Wrapper(t, pipelinetest.WrapperCase{Wrap: func(_ testing.TB, inner pipeline.Source) pipeline.Source {
		return &clockSource{inner, host.New().CheckClock}
	}})
}

// timeSchema has records that are a time.
func timeSchema() *event.Schema {
	return &event.Schema{Name: "none", Single: true, Size: 8, Fields: []event.Field{
		{Name: "timestamp_raw", Kind: event.Uint, Types: []string{"gadget_timestamp", "__u64"}, Size: 8, Parent: event.NoParent},
	}}
}

// Only sources whose events have times need the clock.
func TestFollowClock(t *testing.T) {
	t.Parallel()
	h := host.New()
	timeless := &noEvents{&event.Schema{Name: "none"}}
	if src := followClock(timeless, h); src != pipeline.Source(timeless) {
		t.Errorf("a source without times became a %T", src)
	}
	if _, ok := followClock(&noEvents{timeSchema()}, h).(*clockSource); !ok {
		t.Error("a source with times does not follow the clock")
	}
}

// A recording has all steps of the clock: those from before its start, because an event in a buffer may be older,
// and each later one before the first batch that may follow it.
func TestRecordedSteps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "steps")
	r, machine := record(t, path)
	r.header.DataSources[0].Schema = timeSchema()
	history := machine.Clock()
	history.Reset(-1000)
	step := func(boot uint64, offset int64) {
		t.Helper()
		if !history.Add(clock.Step{Boot: boot, Offset: offset}) {
			t.Fatalf("the step at %d was refused", boot)
		}
	}
	step(100, 1e9)
	if err := r.begin(machine); err != nil {
		t.Fatal(err)
	}
	write, err := r.Bind(timeSchema(), event.FieldSet{})
	if err != nil {
		t.Fatal(err)
	}
	send := func(times ...uint64) {
		t.Helper()
		b := &event.Batch{Schema: timeSchema()}
		for _, boot := range times {
			b.Rows = append(b.Rows, binary.LittleEndian.AppendUint64(nil, boot))
		}
		if err := write(b); err != nil {
			t.Fatal(err)
		}
	}
	send(1099, 150)
	step(200, 2e9)
	step(300, 3e9)
	send(250, 1098, 310, 190) // in no order
	send(199)                 // held back
	step(400, 4e9)            // at the end
	closeRecording(t, r)

	recording, err := wire.NewReader(bytes.NewReader([]byte(readTest(t, path))))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	replay, err := Replay(recording, Options{Text: &Text{W: &out, Modes: "json", Fields: "timestamp_raw"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := replay.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	// 1098 and 1099 follow the last step that was known when they were read: that of 100, and that of 300.
	for _, at := range []int64{1e9 + 1099, 1e9 + 150, 2e9 + 250, 3e9 + 1098, 3e9 + 310, 1e9 + 190, 1e9 + 199} {
		fmt.Fprintf(&want, "{\"timestamp_raw\":%d}\n", at)
	}
	if out.String() != want.String() {
		t.Errorf("the replay shows\n%swant\n%s", out.String(), want.String())
	}
	if got, want := recording.Clock().Steps(), history.Steps(); !slices.Equal(got, want) {
		t.Errorf("the recording has the steps %v, want %v", got, want)
	}
	if err := replay.Close(); err != nil {
		t.Fatal(err)
	}
}

// The clock is looked at once rows have come, and only then.
func TestClockIsCheckedForRows(t *testing.T) {
	t.Parallel()
	var b event.Batch
	inner := &fewRows{noEvents{timeSchema()}, []int{2, 0, 1}}
	checked := 0
	src := &clockSource{inner, func() {
		if len(b.Rows) == 0 {
			t.Error("the clock was looked at before rows came")
		}
		checked++
	}}
	for _, want := range []int{1, 1, 2, 2} {
		_ = src.Next(t.Context(), &b)
		if checked != want {
			t.Fatalf("the clock was looked at %d times, want %d", checked, want)
		}
	}
}

// fewRows is a source of batches with so many rows.
type fewRows struct {
	noEvents
	left []int
}

func (s *fewRows) Next(_ context.Context, b *event.Batch) error {
	b.Reset(s.schema)
	if len(s.left) == 0 {
		return io.EOF
	}
	for range s.left[0] {
		b.Rows = append(b.Rows, make([]byte, 8))
	}
	s.left = s.left[1:]
	return nil
}
