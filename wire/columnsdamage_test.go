// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
	"github.com/gizmo-ebpf/gizmo/wire/wiretest"
)

// A cut or changed byte never leads to a wrong value of a column.
func TestDamagedColumns(t *testing.T) {
	t.Parallel()
	recording := writeColumns(t)
	all, _, err := read(recording)
	check(t, err)
	whole := spellBatches(t, all, columnFields...)
	header := frameCuts(recording)[1]
	for i := header; i < len(recording); i++ {
		changed := bytes.Clone(recording)
		changed[i] ^= byte(1 + i%255)
		for name, bad := range map[string][]byte{"cut": recording[:i], "changed": changed} {
			got, _, err := read(bad)
			if !knownDamage(err) {
				t.Fatalf("%s at byte %d: error %v", name, i, err)
			}
			if text := spellBatches(t, got, columnFields...); !strings.HasPrefix(whole, text) {
				t.Fatalf("%s at byte %d: read\n%s", name, i, text)
			}
		}
	}
}

// Frames about columns with good checksums and bad contents.
func TestHostileColumns(t *testing.T) {
	t.Parallel()
	header := rawFrame{'H', []byte(`{"schemas":[{"single":true,"size":1,"added":[{"name":"t","kind":5,"parent":-1,"column":1},{"name":"n","kind":1,"parent":-1,"column":1},{"name":"o","kind":4,"parent":-1,"column":2}]},{"size":1}],` +
		`"dataSources":[{"name":"a","schema":0},{"name":"b","schema":1}]}`)}
	one := rawFrame{'D', []byte{0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0}} // the handle 1 of the second column
	num := func(v ...uint64) (p []byte) {
		for _, v := range v {
			p = binary.AppendUvarint(p, v)
		}
		return p
	}
	huge := append(num(0, 0, 1, 256<<10), make([]byte, 256<<10+7)...)
	for _, c := range []struct {
		name string
		bad  rawFrame
		want string
	}{
		{"no contents", rawFrame{'D', nil}, "it is of data source 0, and there are 2"},
		{"data source", rawFrame{'D', num(2, 0, 1)}, "it is of data source 2, and there are 2"},
		{"column", rawFrame{'D', num(0, 2, 1)}, "it is of column 2, and there are 2"},
		{"column of none", rawFrame{'D', num(1, 0, 1)}, "it is of column 0, and there are 0"},
		{"no values", rawFrame{'D', num(0, 0, 0)}, "it has no values"},
		{"too many", rawFrame{'D', num(0, 0, 1<<60)}, "values for 1152921504606846976 handles"},
		{"half a number", rawFrame{'D', num(0, 1, 1, 0, 0, 0)}, "shorter than"},
		{"text beyond the end", rawFrame{'D', num(0, 0, 1, 3, 'a')}, "shorter than"},
		{"text of any length", rawFrame{'D', num(0, 0, 1, 1<<63)}, "shorter than"},
		{"bytes left", rawFrame{'D', append(num(0, 0, 1, 1), make([]byte, 9)...)}, "1 bytes too many"},
		{"huge value", rawFrame{'D', huge}, "the limit is 262144"},
		{"restart with contents", rawFrame{'R', num(0)}, "it should be empty"},
		{"no columns", rawFrame{'B', num(0, 0, 1, 1, 7)}, "shorter than"},
		{"unknown column", rawFrame{'B', num(0, 0, 1, 1, 7, 4)}, "it has handles of column 2, and there are 2"},
		{"columns where none are", rawFrame{'B', num(1, 0, 1, 1, 7, 0)}, "its rows take 1 bytes, and it has 2"},
		{"handle without values", rawFrame{'B', num(0, 0, 1, 1, 7, 1, 1<<1)}, "column 0: the handle 1, and there are values up to 0"},
		{"handle beyond the values", rawFrame{'B', num(0, 0, 1, 1, 7, 2, 2<<1)}, "column 1: the handle 2, and there are values up to 1"},
		{"huge handle", rawFrame{'B', num(0, 0, 1, 1, 7, 2, 1<<63)}, "values up to 1"},
		{"handles missing", rawFrame{'B', num(0, 0, 2, 1, 1, 7, 7, 2, 0)}, "shorter than"},
		{"long run", rawFrame{'B', num(0, 0, 2, 1, 1, 7, 7, 2, 1<<1|1, 2)}, "beyond the last row"},
		{"endless run", rawFrame{'B', num(0, 0, 2, 1, 1, 7, 7, 2, 1<<1|1, 1<<64-1)}, "beyond the last row"},
		{"run without a length", rawFrame{'B', num(0, 0, 2, 1, 1, 7, 7, 2, 1<<1|1)}, "shorter than"},
		{"handles left", rawFrame{'B', num(0, 0, 1, 1, 7, 2, 1<<1, 0)}, "1 bytes too many"},
	} {
		good := rawFrame{'C', make([]byte, 8)}
		got, _, err := read(join([]rawFrame{header, one, c.bad, good}))
		if !errors.Is(err, wire.ErrCorrupt) || len(got) > 0 {
			t.Errorf("%s: %d batches, error %v", c.name, len(got), err)
		}
		wantError(t, err, c.want)
	}
	good := rawFrame{'B', num(0, 0, 1, 1, 7, 2, 1<<1)}
	if got, _, err := read(join([]rawFrame{header, one, good, {'R', nil}, one, good})); len(got) != 2 || !errors.Is(err, wire.ErrTruncated) {
		t.Errorf("the good frames: %d batches, %v", len(got), err)
	}
	_, _, err := read(join([]rawFrame{header, one, {'R', nil}, good}))
	wantError(t, err, "the handle 1, and there are values up to 0")
	_, _, err = read(join([]rawFrame{header, one, {'B', append(num(0, 0, 1<<20), append(make([]byte, 1<<20), num(3, 1, 0, 1, 0)...)...)}, {'x', nil}}))
	if !errors.Is(err, wire.ErrTruncated) {
		t.Errorf("2097152 handles: %v", err)
	}
}

func TestTooManyHandlesOfOneBatch(t *testing.T) {
	t.Parallel()
	header := rawFrame{'H', []byte(`{"schemas":[{"single":true,"added":[{"name":"a","kind":1,"parent":-1,"column":1},{"name":"b","kind":1,"parent":-1,"column":2},{"name":"c","kind":1,"parent":-1,"column":3}]}],"dataSources":[{"name":"a","schema":0}]}`)}
	batch := append([]byte{0, 0, 0x80, 0x80, 0x40}, make([]byte, 1<<20)...) // 1048576 rows
	_, _, err := read(join([]rawFrame{header, {'B', append(batch, 7, 1, 0, 1, 0, 1, 0)}}))
	if !errors.Is(err, wire.ErrCorrupt) {
		t.Errorf("%v, want ErrCorrupt", err)
	}
	wantError(t, err, "3145728 handles; the limit is 2097152")
}

// Values without a restart are refused where they would take too much memory.
func TestMemoryOfDictionaries(t *testing.T) {
	header := rawFrame{'H', []byte(`{"schemas":[{"single":true,"size":1,"added":[{"name":"t","kind":5,"parent":-1,"column":1}]}],"dataSources":[{"name":"a","schema":0}]}`)}
	nothing := append([]byte{0, 0, 0x80, 0x80, 0x20}, make([]byte, 1<<19)...) // 524288 handles without a text
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := read(join([]rawFrame{header, {'D', nothing}}))
	runtime.ReadMemStats(&after)
	if !errors.Is(err, wire.ErrCorrupt) {
		t.Errorf("%v, want ErrCorrupt", err)
	}
	wantError(t, err, "the values count for more than 16777216 bytes")
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 100 {
		t.Errorf("%d MiB were allocated", used)
	}
	frames := []rawFrame{header}
	for range 25 {
		frames = append(frames, rawFrame{'D', append([]byte{0, 0, 0x80, 0x80, 0x08}, make([]byte, 1<<17)...)}, rawFrame{'R', nil})
	}
	r, err := wire.NewReader(bytes.NewReader(join(frames)))
	check(t, err)
	runtime.GC()
	runtime.ReadMemStats(&before)
	_, err = wiretest.ReadAll(r)
	if !errors.Is(err, wire.ErrTruncated) {
		t.Errorf("%v, want ErrTruncated", err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20; grown > 40 {
		t.Errorf("%d MiB are in use after 25 restarts", grown)
	}
	runtime.KeepAlive(r)
}

// same gives every handle the value 5.
type same struct{}

func (same) Bytes(event.Handle) []byte { return nil }
func (same) Bits(event.Handle) uint64  { return 5 }

// However many handles a long run meets, the memory of the writer and of the reader stays bounded.
func TestMemoryOfManyHandles(t *testing.T) {
	s := countSchema()
	s.Single = true
	s.AddColumn(event.Field{Name: "n", Kind: event.Uint, Parent: event.NoParent, Table: same{}})
	in, out := io.Pipe()
	defer in.Close()
	w := make(chan *wire.Writer, 1)
	const batches, rows = 2000, 1000
	go func() {
		rec, err := wire.NewWriter(out, wire.Header{DataSources: []wire.DataSource{{Schema: s}}})
		for i := 0; i < batches && err == nil; i++ {
			err = rec.Write(handleBatch(s, event.Handle(1+i*rows), rows))
		}
		out.CloseWithError(errors.Join(err, rec.Flush()))
		w <- rec
	}()
	r, err := wire.NewReader(in)
	check(t, err)
	field := mustReader(t, r.Schemas()[0], "n")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var b event.Batch
	for range batches {
		check(t, r.Next(t.Context(), &b))
		for row := range b.Rows {
			if v, ok := field.Uint(&b, row); v != 5 || !ok {
				t.Fatalf("a row has %d, %v", v, ok)
			}
		}
	}
	if err := r.Next(t.Context(), &b); !errors.Is(err, wire.ErrTruncated) {
		t.Errorf("after all batches: %v", err)
	}
	in.Close()
	rec := <-w
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20; grown > 40 {
		t.Errorf("%d MiB are in use after %d handles", grown, batches*rows)
	} else {
		t.Logf("%d MiB are in use after %d handles", grown, batches*rows)
	}
	runtime.KeepAlive(r)
	runtime.KeepAlive(rec)
}

func TestHostileAddedFields(t *testing.T) {
	t.Parallel()
	many := ""
	for i := range 33 {
		many += fmt.Sprintf(`,{"name":"c","kind":1,"parent":-1,"column":%d}`, i+1)
	}
	for _, c := range []struct{ added, want string }{
		{`{}`, "it has no name"},
		{`{"name":"a\u0007"}`, "unprintable"},
		{`{"name":"a","kind":7,"parent":-1,"column":1}`, "kind 7 is unknown"},
		{`{"name":"a","kind":5,"parent":-1}`, "string in no column"},
		{`{"name":"a","kind":5,"parent":-1,"column":-1}`, "of column -1"},
		{`{"name":"a","kind":5,"parent":-1,"column":2}`, "of column 2, after those of column 0"},
		{`{"name":"a","kind":6,"parent":-1,"column":1}`, "column 1 has no values"},
		{`{"name":"a","kind":5,"parent":-2,"column":1}`, "its parent -2"},
		{`{"name":"a","kind":5,"parent":0,"column":1}`, "its parent 0 is not a struct before it"},
		{`{"name":"a","kind":6,"parent":1}`, "its parent 1 is not a struct before it"},
		{`{"name":"a","kind":5,"parent":-1,"types":["\n"],"column":1}`, "type: the name"},
		{`{"name":"a","kind":5,"parent":-1,"enum":{"name":"e"},"column":1}`, "as an enum"},
		{`{"name":"a","kind":1,"parent":-1,"column":1},{"name":"b","kind":6,"parent":-1},{"name":"c","kind":1,"parent":-1,"column":1}`, "of column 1, after those of column 1"},
		{many[1:], "33 columns"},
	} {
		header := fmt.Sprintf(`{"schemas":[{"size":1,"fields":[{"name":"f","kind":1,"off":0,"size":1,"parent":-1}],"added":[%s]}],"dataSources":[{"name":"a","schema":0}]}`, c.added)
		wantCorruptHeader(t, preamble, header, c.want)
	}
}

// Values are read by other goroutines while the Reader adds some: for the race detector.
func TestTablesAreReadConcurrently(t *testing.T) {
	t.Parallel()
	s := textSchema(true)
	var batches []*event.Batch
	for i := range 300 {
		batches = append(batches, handleBatch(s, event.Handle(1+2*i), 3))
	}
	r := wiretest.Reader(t, wiretest.RecordBatches(t, wire.Header{DataSources: []wire.DataSource{{Schema: s}}}, batches...))
	read := make(chan event.Batch, 4)
	done := make(chan error, 1)
	go func() {
		field, err := r.Schemas()[0].ReaderOf("text")
		first := uint32(1)
		for b := range read {
			for row := range 3 {
				if got := field.Bytes(&b, row); err == nil && (len(got) != 64<<10 || binary.LittleEndian.Uint32(got) != first+uint32(row)) {
					err = fmt.Errorf("handle %d has %d bytes", first, len(got))
				}
			}
			first += 2
		}
		done <- err
	}()
	for {
		var b event.Batch
		err := r.Next(t.Context(), &b)
		if errors.Is(err, io.EOF) {
			break
		}
		check(t, err)
		read <- b
	}
	close(read)
	check(t, <-done)
}
