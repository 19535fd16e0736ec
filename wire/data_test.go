// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
	"github.com/gizmo-ebpf/gizmo/wire/wiretest"
)

// openSchema is a data source of single events with a field of every kind.
func openSchema() *event.Schema {
	return &event.Schema{Name: "open", Single: true, Size: 40, Fields: []event.Field{
		{Name: "timestamp", Kind: event.Uint, Types: []string{"gadget_timestamp", "__u64"}, Off: 0, Size: 8, Parent: event.NoParent},
		{Name: "proc", Kind: event.Struct, Types: []string{"gadget_process"}, Off: 8, Size: 8, Parent: event.NoParent},
		{Name: "proc.pid", Kind: event.Uint, Types: []string{"gadget_pid", "__u32"}, Off: 8, Size: 4, Parent: 1},
		{Name: "proc.prio", Kind: event.Int, Off: 12, Size: 2, Count: 2, Parent: 1},
		{Name: "op_raw", Kind: event.Uint, Types: []string{"op"}, Off: 16, Size: 4, Parent: event.NoParent,
			Enum: &event.Enum{Name: "op", Signed: true, Values: []event.EnumValue{{Name: "READ", Value: 0}, {Name: "ALL", Value: 1<<64 - 1}}}},
		{Name: "flag", Kind: event.Bool, Off: 20, Size: 1, BitOff: 3, BitSize: 1, Parent: event.NoParent},
		{Name: "load", Kind: event.Float, Off: 24, Size: 4, Parent: event.NoParent},
		{Name: "mac", Kind: event.Bytes, Off: 28, Size: 4, Parent: event.NoParent},
		{Name: "fname", Kind: event.String, Off: 32, Size: 8, Parent: event.NoParent},
		{Name: "rest", Kind: event.Bytes, Off: 40, Rest: true, LenOff: 12, LenSize: 2, Parent: event.NoParent},
	}}
}

// countSchema is a data source of arrays.
func countSchema() *event.Schema {
	return &event.Schema{Name: "count", Size: 4, Fields: []event.Field{
		{Name: "n", Kind: event.Uint, Size: 4, Parent: event.NoParent},
	}}
}

func exampleHeader() wire.Header {
	return wire.Header{
		Gadgets: []wire.Gadget{{Reference: "trace_open"}},
		Gizmo:   "v1.2.3",
		Start:   time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC),
		Machine: wire.Machine{
			Arch: "amd64", Kernel: "6.12.0", CPUs: 4, BootOffset: 1770000000123456789,
		},
		DataSources: []wire.DataSource{
			{Schema: openSchema(), Annotations: json.RawMessage(`{"source":{"a":"<b>"}}`)},
			{Schema: countSchema()},
		},
	}
}

// exampleBatches are batches of the example header's data sources.
func exampleBatches(h wire.Header) []*event.Batch {
	open, count := h.DataSources[0].Schema, h.DataSources[1].Schema
	return []*event.Batch{
		{Schema: open, Rows: [][]byte{record(40, 1, 2, 3), record(40), record(41, 9), record(40, full(40)...), record(300, full(300)...)}},
		{Schema: open, Lost: []event.Loss{{CPU: 3, Cause: event.BufferFull, Count: 1 << 40}, {CPU: event.NoCPU, Cause: event.Damaged, Count: 2}}},
		{Schema: count, Rows: [][]byte{record(4, 7), record(4, 0, 1)}, Lost: []event.Loss{{CPU: 0, Cause: event.Malformed, Count: 5}}},
		{Schema: count},
		{Schema: open, Rows: [][]byte{record(40, 0, 0, 5)}},
	}
}

// exampleClock is the boot offset of the example from its third batch on.
const exampleClock = -1770000000999999999

// writeExample returns the recording of the example.
func writeExample(t testing.TB) []byte {
	t.Helper()
	h := exampleHeader()
	var out writeBuffer
	w, err := wire.NewWriter(&out, h)
	check(t, err)
	for i, b := range exampleBatches(h) {
		if i == 2 {
			check(t, w.SetBootOffset(exampleClock))
		}
		check(t, w.Write(b))
	}
	check(t, w.Close())
	return out
}

type writeBuffer []byte

func (b *writeBuffer) Write(p []byte) (int, error) { *b = append(*b, p...); return len(p), nil }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// record returns a row of size bytes that begins with the given ones.
func record(size int, begin ...byte) []byte {
	row := make([]byte, size)
	copy(row, begin)
	return row
}

// full returns n bytes, none of them 0.
func full(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i%255) + 1
	}
	return p
}

// preamble begins a recording of the current version, preamble1 one of version 1.
const (
	preamble  = "\x89GIZMO\r\n\x02"
	preamble1 = "\x89GIZMO\r\n\x01"
)

// rawFrame is a frame as docs/recording-format.md has it, without the checksum.
type rawFrame struct {
	kind    byte
	payload []byte
}

// split splits a recording into frames and ignores the checksums. Bytes that do not form a frame
// are the rest.
func split(recording []byte) (frames []rawFrame, rest []byte) {
	rest = recording[min(len(preamble), len(recording)):]
	for len(rest) > 0 {
		size, n := binary.Uvarint(rest[1:])
		end := 1 + n + int(size)
		if n <= 0 || size > uint64(len(rest)) || end+4 > len(rest) {
			return frames, rest
		}
		frames = append(frames, rawFrame{kind: rest[0], payload: rest[1+n : end]})
		rest = rest[end+4:]
	}
	return frames, nil
}

// join makes a recording with good checksums of frames.
func join(frames []rawFrame) []byte { return joinAfter(preamble, frames) }

func joinAfter(preamble string, frames []rawFrame) []byte {
	out := []byte(preamble)
	crc := crc32.Checksum(out, crc32.MakeTable(crc32.Castagnoli))
	for _, f := range frames {
		start := len(out)
		out = append(out, f.kind)
		out = binary.AppendUvarint(out, uint64(len(f.payload)))
		out = append(out, f.payload...)
		crc = crc32.Update(crc, crc32.MakeTable(crc32.Castagnoli), out[start:])
		out = binary.LittleEndian.AppendUint32(out, crc)
	}
	return out
}

// read returns the batches of a recording up to its end or its damage.
func read(recording []byte) ([]event.Batch, *wire.Reader, error) {
	r, err := wire.NewReader(&oneByOne{data: recording})
	if err != nil {
		return nil, nil, err
	}
	all, err := wiretest.ReadAll(r)
	return all, r, err
}

// oneByOne gives its data in small pieces of changing size.
type oneByOne struct {
	data []byte
	n    int
}

func (r *oneByOne) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, errEOF
	}
	r.n = r.n%7 + 1
	n := copy(p[:min(r.n*r.n, len(p))], r.data)
	r.data = r.data[n:]
	return n, nil
}

// describe turns batches into something to compare: schemas are replaced by their names.
func describe(batches []event.Batch) string {
	text := ""
	for _, b := range batches {
		text += fmt.Sprintf("%s %x %v\n", b.Schema.Name, b.Rows, b.Lost)
	}
	return text
}

func describeWritten(batches []*event.Batch) string {
	var all []event.Batch
	for _, b := range batches {
		all = append(all, *b)
	}
	return describe(all)
}
