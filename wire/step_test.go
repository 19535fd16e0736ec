// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/clock"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
	"github.com/gizmo-ebpf/gizmo/wire/wiretest"
)

// exampleSteps are those of the recording of writeSteps. The first is the offset in its header.
var exampleSteps = []clock.Step{{Boot: 0, Offset: 1000}, {Boot: 500, Offset: -2000}, {Boot: 501, Offset: 3000}}

// writeSteps returns a recording of a batch before, between and after two steps of the clock.
func writeSteps(t testing.TB) []byte {
	t.Helper()
	var out writeBuffer
	w, err := wire.NewWriter(&out, wire.Header{
		Machine: wire.Machine{BootOffset: exampleSteps[0].Offset}, DataSources: []wire.DataSource{{Schema: countSchema()}},
	})
	check(t, err)
	for i, step := range exampleSteps {
		if i > 0 {
			check(t, w.AddStep(step))
		}
		check(t, w.Write(&event.Batch{Schema: countSchema(), Rows: [][]byte{{byte(i), 1, 1, 1}}}))
	}
	check(t, w.Close())
	return out
}

// wantSteps reads the recording of writeSteps. Batches from before a step may come after it, so a reader knows all steps up to the
// batch.
func wantSteps(t *testing.T, recording []byte) {
	t.Helper()
	r := wiretest.Reader(t, recording)
	var b event.Batch
	for i := range exampleSteps {
		check(t, r.Next(t.Context(), &b))
		if got := r.Clock().Steps(); !slices.Equal(got, exampleSteps[:i+1]) || b.Rows[0][0] != byte(i) {
			t.Errorf("batch %d: the steps are %v, want %v", b.Rows[0][0], got, exampleSteps[:i+1])
		}
	}
	if err := r.Next(t.Context(), &b); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	wantSteps(t, writeSteps(t))
}

// A reader that skips steps, as the first ones of version 2 do, gets the offset for the batches that follow.
func TestStepsForOlderReaders(t *testing.T) {
	t.Parallel()
	frames, _ := split(writeSteps(t))
	older := slices.DeleteFunc(frames, func(f rawFrame) bool { return f.kind == 'c' })
	r := wiretest.Reader(t, join(older))
	var b event.Batch
	for i, step := range exampleSteps {
		check(t, r.Next(t.Context(), &b))
		for _, boot := range []uint64{0, 499, 1 << 40} {
			if got := r.Clock().OffsetAt(boot); got != step.Offset {
				t.Errorf("batch %d: the offset at %d is %d, want %d", i, boot, got, step.Offset)
			}
		}
	}
}

// A clock that comes alone holds whatever the time of an event, and later steps start from it.
func TestClockAfterSteps(t *testing.T) {
	t.Parallel()
	var out writeBuffer
	w, err := wire.NewWriter(&out, exampleHeader())
	check(t, err)
	check(t, w.AddStep(clock.Step{Boot: 100, Offset: 1}))
	check(t, w.SetBootOffset(1)) // is so already
	check(t, w.SetBootOffset(2))
	check(t, w.AddStep(clock.Step{Boot: 50, Offset: 3}))
	check(t, w.Close())
	_, r, err := read(out)
	check(t, err)
	if got, want := r.Clock().Steps(), []clock.Step{{Boot: 0, Offset: 2}, {Boot: 50, Offset: 3}}; !slices.Equal(got, want) {
		t.Errorf("the steps are %v, want %v", got, want)
	}
}

// A step that no reader would take is refused, and the recording goes on.
func TestStepsOutOfOrder(t *testing.T) {
	t.Parallel()
	var out writeBuffer
	w, err := wire.NewWriter(&out, exampleHeader())
	check(t, err)
	wantError(t, w.AddStep(clock.Step{Boot: 0, Offset: 7}), "at 0 ns since boot: the step before was at 0")
	check(t, w.AddStep(clock.Step{Boot: 100, Offset: 1}))
	wantError(t, w.AddStep(clock.Step{Boot: 100, Offset: 2}), "at 100 ns since boot: the step before was at 100")
	check(t, w.Close())
	wantError(t, w.AddStep(clock.Step{Boot: 200, Offset: 2}), "closed")
	_, r, err := read(out)
	check(t, err)
	if got := r.Clock().Last(); got != (clock.Step{Boot: 100, Offset: 1}) {
		t.Errorf("the last step is %v", got)
	}
	// A hostile writer does not keep to it.
	header := rawFrame{'H', []byte(`{"machine":{"bootOffset":5}}`)}
	_, _, err = read(join([]rawFrame{header, stepFrame(100, 1), stepFrame(100, 2)}))
	if !errors.Is(err, wire.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
	wantError(t, err, "its time, 100 ns since boot, is not after that of the step before, 100")
}

func stepFrame(boot, offset uint64) rawFrame {
	return rawFrame{'c', binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, boot), offset)}
}
