// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
	"github.com/gizmo-ebpf/gizmo/wire/wiretest"
)

var errEOF = io.EOF

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	got, r, err := read(writeExample(t))
	check(t, err)
	h := exampleHeader()
	if !reflect.DeepEqual(*r.Header(), h) {
		t.Errorf("header:\n got %+v\nwant %+v", *r.Header(), h)
	}
	if got, want := describe(got), describeWritten(exampleBatches(h)); got != want {
		t.Errorf("batches:\n got %s\nwant %s", got, want)
	}
	if r.Clock().Last().Offset != exampleClock {
		t.Errorf("boot offset at the end: %d, want %d", r.Clock().Last().Offset, exampleClock)
	}
	for i, s := range r.Schemas() {
		if s != r.Header().DataSources[i].Schema {
			t.Errorf("schema %d is not the header's", i)
		}
	}
}

// Appending to a row does not write into the next.
func TestRowsHaveNoRoom(t *testing.T) {
	t.Parallel()
	r := wiretest.Reader(t, writeExample(t))
	var b event.Batch
	check(t, r.Next(t.Context(), &b))
	for i, row := range b.Rows {
		if cap(row) != len(row) {
			t.Errorf("row %d of %d bytes has room for %d", i, len(row), cap(row))
		}
	}
}

func TestBootOffsetHoldsForTheBatch(t *testing.T) {
	t.Parallel()
	r := wiretest.Reader(t, writeExample(t))
	start := exampleHeader().Machine.BootOffset
	var b event.Batch
	for i, want := range []int64{start, start, exampleClock, exampleClock, exampleClock} {
		check(t, r.Next(t.Context(), &b))
		if r.Clock().Last().Offset != want {
			t.Errorf("batch %d: boot offset %d, want %d", i, r.Clock().Last().Offset, want)
		}
	}
}

func TestSameBootOffsetIsNotRepeated(t *testing.T) {
	t.Parallel()
	var out writeBuffer
	w, err := wire.NewWriter(&out, exampleHeader())
	check(t, err)
	before := len(out)
	check(t, w.SetBootOffset(exampleHeader().Machine.BootOffset))
	check(t, w.Flush())
	if len(out) != before {
		t.Errorf("%d bytes for a clock that did not change", len(out)-before)
	}
}

// Random recordings come back as they were, from readers that give their bytes in any pieces.
func TestRandomRecordings(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		h := randomHeader(rng)
		var batches []*event.Batch
		for range rng.IntN(6) {
			batches = append(batches, randomBatch(rng, h.DataSources[rng.IntN(len(h.DataSources))].Schema))
		}
		recording := wiretest.RecordBatches(t, h, batches...)
		got, r, err := read(recording)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if got, want := describe(got), describeWritten(expected(batches)); got != want {
			t.Fatalf("seed %d:\n got %s\nwant %s", seed, got, want)
		}
		if !reflect.DeepEqual(*r.Header(), h) {
			t.Fatalf("seed %d: header:\n got %+v\nwant %+v", seed, *r.Header(), h)
		}
	}
}

// expected returns the batches that a reader returns for written ones: short rows are padded, and batches of single
// events without rows and losses are gone.
func expected(batches []*event.Batch) []*event.Batch {
	var all []*event.Batch
	for _, b := range batches {
		if b.Schema.Single && len(b.Rows) == 0 && len(b.Lost) == 0 {
			continue
		}
		c := &event.Batch{Schema: b.Schema, Lost: b.Lost}
		for _, row := range b.Rows {
			c.Rows = append(c.Rows, append(bytes.Clone(row), make([]byte, max(0, int(b.Schema.Size)-len(row)))...))
		}
		all = append(all, c)
	}
	return all
}

func randomHeader(rng *rand.Rand) wire.Header {
	h := wire.Header{Gadgets: []wire.Gadget{{Reference: "random"}}, Machine: wire.Machine{BootOffset: rng.Int64() - rng.Int64()}}
	for i := range 1 + rng.IntN(4) {
		s := &event.Schema{Name: fmt.Sprint("source", i), Single: rng.IntN(2) == 0, Fields: []event.Field{}}
		for range rng.IntN(20) {
			s.Fields = append(s.Fields, randomField(rng, s))
		}
		s.Size += uint32(rng.IntN(8))
		h.DataSources = append(h.DataSources, wire.DataSource{Schema: s})
	}
	return h
}

// randomField returns a field at the end of s and makes s that much longer.
func randomField(rng *rand.Rand, s *event.Schema) event.Field {
	size := uint32(1) << rng.IntN(4)
	f := event.Field{
		Name: fmt.Sprint("f", len(s.Fields)), Kind: event.Kind(rng.IntN(int(event.Struct) + 1)),
		Types: []string{"a", "unsigned int"}[:rng.IntN(2)+1], Off: s.Size, Parent: event.NoParent,
	}
	switch f.Kind {
	case event.Float:
		size = max(size, 4)
	case event.Bool:
		size = 1
	case event.Uint:
		f.Enum = &event.Enum{Name: "e", Values: []event.EnumValue{{Name: "A", Value: rng.Uint64()}}}
	}
	f.Size = size
	if count := rng.Uint32N(3); count > 0 {
		f.Count, f.Size = count, count*size
	}
	if n := len(s.Fields); n > 0 && s.Fields[n-1].Kind == event.Struct {
		f.Parent = n - 1
	}
	s.Size += f.Size
	return f
}

func randomBatch(rng *rand.Rand, s *event.Schema) *event.Batch {
	b := &event.Batch{Schema: s}
	for range rng.IntN(40) {
		size := int(s.Size)
		if rng.IntN(4) == 0 {
			size = rng.IntN(2*size + 200)
		}
		row := make([]byte, size)
		for i := range rng.IntN(size + 1) {
			row[i] = byte(rng.Uint32() >> rng.IntN(9)) // zeros are frequent
		}
		b.Rows = append(b.Rows, row)
	}
	for range rng.IntN(3) {
		b.Lost = append(b.Lost, event.Loss{CPU: rng.IntN(600) - 1, Cause: event.Cause(rng.IntN(4)), Count: rng.Uint64()})
	}
	return b
}

// A recording that is read and written again is identical.
func TestCopyIsIdentical(t *testing.T) {
	t.Parallel()
	recording := writeExample(t)
	r := wiretest.Reader(t, recording)
	var out writeBuffer
	w, err := wire.NewWriter(&out, *r.Header())
	check(t, err)
	var b event.Batch
	for {
		err := r.Next(t.Context(), &b)
		if errors.Is(err, io.EOF) {
			break
		}
		check(t, err)
		check(t, w.SetBootOffset(r.Clock().Last().Offset))
		check(t, w.Write(&b))
	}
	check(t, w.Close())
	if !bytes.Equal(out, recording) {
		t.Errorf("the copy differs:\n%q\n%q", out, recording)
	}
}

func TestTrailingZerosAreNotStored(t *testing.T) {
	t.Parallel()
	s := &event.Schema{Name: "big", Single: true, Size: 4096}
	empty := len(wiretest.Record(t, s))
	for n := range 100 {
		row := record(4096, full(n)...)
		if got, want := len(wiretest.Record(t, s, row))-empty, n+20; got > want {
			t.Errorf("a row of %d bytes and zeros takes %d bytes, want at most %d", n, got, want)
		}
	}
}

// Anything that has no events is a recording too.
func TestEmptyRecordings(t *testing.T) {
	t.Parallel()
	for _, h := range []wire.Header{{}, {DataSources: []wire.DataSource{{Schema: countSchema()}}}, exampleHeader()} {
		got, _, err := read(wiretest.RecordBatches(t, h))
		if err != nil || len(got) > 0 {
			t.Errorf("%v, %v", got, err)
		}
	}
}

func TestAddedFieldsAreNotRecorded(t *testing.T) {
	t.Parallel()
	s := openSchema()
	n := len(s.Fields)
	s.Add(event.Field{Name: "added"})
	recording := wiretest.Record(t, s, record(40, 1))
	if got := len(wiretest.Reader(t, recording).Schemas()[0].Fields); got != n {
		t.Errorf("%d fields were recorded, want %d", got, n)
	}
	s.Fields = append(s.Fields, event.Field{Name: "late", Kind: event.Uint, Size: 1, Parent: event.NoParent})
	_, err := wire.NewWriter(io.Discard, wire.Header{DataSources: []wire.DataSource{{Schema: s}}})
	wantError(t, err, `field "late" of the record comes after added fields`)
}

// Stages may have made a copy of the header's schema.
func TestWriteWithCopiedSchema(t *testing.T) {
	t.Parallel()
	h := exampleHeader()
	var out writeBuffer
	w, err := wire.NewWriter(&out, h)
	check(t, err)
	extended := h.DataSources[0].Schema.Clone()
	extended.Add(event.Field{Name: "added"})
	check(t, w.Write(&event.Batch{Schema: extended, Rows: [][]byte{record(40, 1)}}))
	check(t, w.Write(&event.Batch{Schema: h.DataSources[0].Schema, Rows: [][]byte{record(40, 2)}}))
	check(t, w.Close())
	got, _, err := read(out)
	check(t, err)
	if len(got) != 2 {
		t.Errorf("%d batches, want 2", len(got))
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	other := countSchema()
	other.Fields[0].Kind = event.Int
	larger := countSchema()
	larger.Size = 8
	count := countSchema()
	for _, c := range []struct {
		name string
		b    *event.Batch
		want string
	}{
		{"unknown data source", &event.Batch{Schema: &event.Schema{Name: "nobody"}}, `"nobody": no such data source`},
		{"another field", &event.Batch{Schema: other}, `"count": its schema is not the one in the header`},
		{"another size", &event.Batch{Schema: larger}, `"count": its schema is not the one in the header`},
		{"negative CPU", &event.Batch{Schema: count, Lost: []event.Loss{{CPU: -2}}}, "a loss on CPU -2"},
		{"large CPU", &event.Batch{Schema: count, Lost: []event.Loss{{CPU: 1 << 16}}}, "a loss on CPU 65536"},
		{"losses", &event.Batch{Schema: count, Lost: make([]event.Loss, 1<<16+1)}, "65537 losses"},
		{"long row", &event.Batch{Schema: count, Rows: [][]byte{make([]byte, 16<<20+1)}}, "a row of 16777217 bytes"},
		{"many rows", &event.Batch{Schema: count, Rows: make([][]byte, 1<<20+1)}, "an array of 1048577 rows is too large"},
		{"many bytes", &event.Batch{Schema: count, Rows: [][]byte{4: make([]byte, 13<<20), 5: make([]byte, 13<<20), 6: make([]byte, 13<<20), 7: make([]byte, 13<<20)}}, "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out writeBuffer
			w, err := wire.NewWriter(&out, exampleHeader())
			check(t, err)
			wantError(t, w.Write(c.b), c.want)
			check(t, w.Write(&event.Batch{Schema: countSchema(), Rows: [][]byte{{1, 2, 3, 4}}}))
			check(t, w.Close())
			if got, _, err := read(out); err != nil || len(got) != 1 {
				t.Errorf("after the refusal: %d batches, %v; want 1", len(got), err)
			}
		})
	}
}

// Single events that are too many for a frame go into several, and nothing is lost or doubled.
func TestLargeBatchIsSplit(t *testing.T) {
	t.Parallel()
	many := &event.Batch{Schema: &event.Schema{Name: "s", Single: true, Size: 1}, Rows: make([][]byte, 1<<20+10)}
	for i := range many.Rows {
		many.Rows[i] = []byte{byte(i)}
	}
	large := &event.Batch{Schema: &event.Schema{Name: "s", Single: true, Size: 1 << 20}, Rows: make([][]byte, 100)}
	for i := range large.Rows {
		large.Rows[i] = record(1<<20, byte(i))
	}
	for _, b := range []*event.Batch{many, large} {
		b.Lost = []event.Loss{{Count: 3}}
		h := wire.Header{DataSources: []wire.DataSource{{Schema: b.Schema}}}
		r := wiretest.Reader(t, wiretest.RecordBatches(t, h, b))
		var got event.Batch
		row, frames, lost := 0, 0, uint64(0)
		for r.Next(t.Context(), &got) == nil {
			for _, p := range got.Rows {
				if !bytes.Equal(p, b.Rows[row]) {
					t.Fatalf("row %d differs", row)
				}
				row++
			}
			for _, l := range got.Lost {
				lost += l.Count
			}
			frames++
		}
		if row != len(b.Rows) || lost != 3 || frames < 2 {
			t.Errorf("%d rows, %d lost in %d frames; want %d and 3 in several", row, lost, frames, len(b.Rows))
		}
	}
}

// failing takes n bytes and then fails, or takes half without a word.
type failing struct {
	n     int
	short bool
}

var errDisk = errors.New("no space left")

func (f *failing) Write(p []byte) (int, error) {
	if len(p) <= f.n {
		f.n -= len(p)
		return len(p), nil
	}
	if f.short {
		return len(p) / 2, nil
	}
	return 0, errDisk
}

func TestWriterFails(t *testing.T) {
	t.Parallel()
	_, err := wire.NewWriter(&failing{}, exampleHeader())
	if !errors.Is(err, errDisk) {
		t.Errorf("NewWriter: %v, want %v", err, errDisk)
	}
	for _, c := range []struct {
		out  *failing
		want error
	}{{&failing{n: 4000}, errDisk}, {&failing{n: 4000, short: true}, io.ErrShortWrite}} {
		w, err := wire.NewWriter(c.out, exampleHeader())
		check(t, err)
		b := &event.Batch{Schema: countSchema(), Rows: [][]byte{full(5000)}}
		check(t, w.Write(b)) // gathered
		for name, err := range map[string]error{
			"Flush": w.Flush(), "Write": w.Write(b), "SetBootOffset": w.SetBootOffset(1), "Flush again": w.Flush(), "Close": w.Close(),
		} {
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
	}
}

func TestWriterIsClosed(t *testing.T) {
	t.Parallel()
	w, err := wire.NewWriter(io.Discard, exampleHeader())
	check(t, err)
	check(t, w.Close())
	check(t, w.Close())
	wantError(t, w.Write(&event.Batch{Schema: countSchema()}), "closed")
	wantError(t, w.Flush(), "closed")
}

// Several sources write at once; each one's batches stay whole and in order.
func TestConcurrentWrites(t *testing.T) {
	t.Parallel()
	h := exampleHeader()
	var out writeBuffer
	w, err := wire.NewWriter(&out, h)
	check(t, err)
	const batches = 500
	var wg sync.WaitGroup
	for _, ds := range h.DataSources {
		wg.Go(func() {
			for i := range batches {
				b := &event.Batch{Schema: ds.Schema, Rows: [][]byte{record(int(ds.Schema.Size), byte(i), byte(i>>8), 1)}}
				if err := w.Write(b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range batches {
			if err := errors.Join(w.SetBootOffset(int64(i)), w.Flush()); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	check(t, w.Close())
	got, _, err := read(out)
	check(t, err)
	next := map[string]int{}
	for _, b := range got {
		i := next[b.Schema.Name]
		if b.Rows[0][0] != byte(i) || b.Rows[0][1] != byte(i>>8) {
			t.Fatalf("%s: batch %d has %x", b.Schema.Name, i, b.Rows[0])
		}
		next[b.Schema.Name]++
	}
	if next["open"] != batches || next["count"] != batches {
		t.Errorf("read %v batches, want %d of each", next, batches)
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}
