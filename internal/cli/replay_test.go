// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// tape is a recording whose parts are known.
type tape struct {
	bytes []byte
	// ends are where the parts of the recording end: the header, each batch, the end.
	ends []int
	// rows is the number of events up to each of ends.
	rows []int
}

// makeTape records batches of 1, 2, 3 … events, the second of which has a loss.
func makeTape(t *testing.T, batches int) *tape {
	t.Helper()
	schema := &event.Schema{Name: "count", Single: true, Size: 8, Fields: []event.Field{
		{Name: "n", Kind: event.Uint, Types: []string{"__u64"}, Size: 8, Parent: -1},
	}}
	var out bytes.Buffer
	w, err := wire.NewWriter(&out, wire.Header{Gadgets: []wire.Gadget{{Reference: "counter"}}, DataSources: []wire.DataSource{{Schema: schema}}})
	if err != nil {
		t.Fatal(err)
	}
	tp := &tape{}
	n := 0
	mark := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
		tp.ends, tp.rows = append(tp.ends, out.Len()), append(tp.rows, n)
	}
	mark(w.Flush())
	for i := range batches {
		var b event.Batch
		b.Reset(schema)
		for range i + 1 {
			b.Rows = append(b.Rows, binary.LittleEndian.AppendUint64(nil, uint64(n)))
			n++
		}
		if i == 1 {
			b.Lost = append(b.Lost, event.Loss{CPU: 1, Cause: event.BufferFull, Count: 7})
		}
		if err := w.Write(&b); err != nil {
			t.Fatal(err)
		}
		mark(w.Flush())
	}
	mark(w.Close())
	tp.bytes = out.Bytes()
	return tp
}

// output is the output of a replay as json for the first n events.
func (tp *tape) output(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "{\"n\":%d}\n", i)
	}
	return text.String()
}

// before returns how many events are in the parts that end at or before a place.
func (tp *tape) before(place int) int {
	n := 0
	for i, end := range tp.ends {
		if end <= place {
			n = tp.rows[i]
		}
	}
	return n
}

func TestReplay(t *testing.T) {
	tp := makeTape(t, 4)
	got := invoke(string(tp.bytes), "replay", "-", "-o", "json")
	if got.code != 0 || got.out != tp.output(10) {
		t.Errorf("%+v", got)
	}
	want := "gizmo: warning: count: 7 events lost (buffer full)\n" +
		"gizmo: count: 17 events produced, 10 delivered, 0 filtered, 7 lost\n" +
		"gizmo: count:   7 lost on CPU 1: buffer full\n"
	if got.err != want {
		t.Errorf("standard error:\n%s\nwant:\n%s", got.err, want)
	}
	if got := invoke(string(tp.bytes), "replay", "-", "-o", "none", "--fail-on-loss"); got.code != exitLost {
		t.Errorf("--fail-on-loss: %+v", got)
	}
}

// Wherever a recording is cut, the complete batches before the cut are shown, and then an error.
func TestReplayOfTruncatedRecordings(t *testing.T) {
	tp := makeTape(t, 4)
	for cut := range tp.bytes {
		got := invoke(string(tp.bytes[:cut]), "replay", "-", "-o", "json")
		if got.code != 1 || !strings.Contains(got.err, "gizmo: -: ") {
			t.Fatalf("cut after %d bytes: exit code %d, standard error %q", cut, got.code, got.err)
		}
		if want := tp.output(tp.before(cut)); got.out != want {
			t.Fatalf("cut after %d bytes: got %q, want %q", cut, got.out, want)
		}
	}
}

// Wherever a recording is damaged, everything before the damaged part is shown, and then an error.
func TestReplayOfDamagedRecordings(t *testing.T) {
	tp := makeTape(t, 4)
	for at := range tp.bytes {
		for _, flip := range []byte{0x01, 0x20, 0x80, 0xff} {
			damaged := bytes.Clone(tp.bytes)
			damaged[at] ^= flip
			got := invoke(string(damaged), "replay", "-", "-o", "json")
			if got.code != 1 || !strings.Contains(got.err, "gizmo: -: ") {
				t.Fatalf("byte %d ^ %#x: exit code %d, standard error %q", at, flip, got.code, got.err)
			}
			if want := tp.output(tp.before(at)); got.out != want {
				t.Fatalf("byte %d ^ %#x: got %q, want %q", at, flip, got.out, want)
			}
		}
	}
}

func TestReplayErrors(t *testing.T) {
	tp := makeTape(t, 2)
	newer := bytes.Clone(tp.bytes)
	newer[8] = 99
	for _, c := range []struct{ name, in, args, want string }{
		{"empty", "", "", "the recording is cut short at byte 0"},
		{"text", "hello, world\n", "", "not a gizmo recording"},
		{"newer", string(newer), "", "format version 99"},
		{"no such field", string(tp.bytes), "--fields m", `data source "count" has no field "m"`},
		{"no such format", string(tp.bytes), "-o jsn", `did you mean "json"?`},
		{"no such data source", string(tp.bytes), "-o cuont:json", `did you mean "count"?`},
	} {
		got := invoke(c.in, append([]string{"replay", "-"}, strings.Fields(c.args)...)...)
		if got.code != 1 || got.out != "" || !strings.Contains(got.err, c.want) {
			t.Errorf("%s: %+v, want %q", c.name, got, c.want)
		}
	}
}
