// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
	"github.com/gizmo-ebpf/gizmo/wire/wiretest"
)

// largeSchema has records of 20 bytes and two columns.
func largeSchema(single bool) *event.Schema {
	s := &event.Schema{Name: "large", Single: single, Size: 20, Fields: []event.Field{
		{Name: "n", Kind: event.Uint, Size: 8, Parent: event.NoParent},
		{Name: "rest", Kind: event.Bytes, Off: 20, Rest: true, Parent: event.NoParent},
	}}
	var texts event.Texts
	for i := range 60 {
		texts.Handle(strings.Repeat(string(rune('0'+i)), 70<<10))
	}
	s.AddColumn(event.Field{Name: "text", Kind: event.String, Parent: event.NoParent, Table: &texts},
		event.Field{Name: "number", Kind: event.Uint, Parent: event.NoParent, Table: same{}})
	s.AddColumn(event.Field{Name: "other", Kind: event.Uint, Parent: event.NoParent, Table: same{}})
	return s
}

// largeBatches returns a batch that takes a frame of more than 8 MiB, and a dictionary of more than 2 MiB, between two small ones. Its
// rows are of all lengths.
func largeBatches(s *event.Schema) []*event.Batch {
	r := rand.New(rand.NewPCG(1, 9))
	batch := func(rows, longest int) *event.Batch {
		b := &event.Batch{Schema: s, Lost: []event.Loss{{CPU: 3, Count: 7}}}
		for range rows {
			row := make([]byte, 20+r.IntN(2)*r.IntN(longest+1))
			for i := range r.IntN(len(row) + 1) {
				row[i] = byte(r.Uint32())
			}
			b.Rows = append(b.Rows, row)
		}
		for i, c := range s.Columns() {
			handles := c.Fill(b)
			for row := 0; row < rows; {
				h := event.Handle(r.IntN(60))
				for n := r.IntN(1 + r.IntN(9000)*i); n >= 0 && row < rows; n-- {
					handles[row] = h
					row++
				}
			}
		}
		return b
	}
	large := batch(100_000, 200)
	large.Rows[50_000] = bytes.Repeat([]byte{7}, 3<<20) // which is longer than a part
	return []*event.Batch{batch(3, 30), large, batch(3, 30)}
}

func largeRecording(t testing.TB, s *event.Schema, batches []*event.Batch) []byte {
	t.Helper()
	recording := wiretest.RecordBatches(t, headerOf(s), batches...)
	frames, _ := split(recording)
	large := 0
	for _, f := range frames {
		if len(f.payload) > 2<<20 {
			large++
		}
	}
	if large != 2 {
		t.Fatalf("%d frames are large, want those of a dictionary and a batch", large)
	}
	return recording
}

// digest is a checksum of rows, what is known of them, and losses.
type digest struct {
	hash.Hash64
	columns []*event.Reader
	rows    int
}

func newDigest(t testing.TB, s *event.Schema) *digest {
	t.Helper()
	d := &digest{Hash64: fnv.New64a()}
	for _, name := range []string{"text", "number", "other"} {
		reader, err := s.ReaderOf(name)
		check(t, err)
		d.columns = append(d.columns, &reader)
	}
	return d
}

// add adds a batch. Parts of one count as one.
func (d *digest) add(b *event.Batch) {
	for _, l := range b.Lost {
		fmt.Fprintf(d, "lost %v", l)
	}
	for row := range b.Rows {
		fmt.Fprintf(d, "%d:", len(b.Rows[row]))
		d.Write(b.Rows[row])
		for _, c := range d.columns {
			value := c.Bytes(b, row)
			fmt.Fprintf(d, ",%d %s", len(value), value[:min(len(value), 8)])
		}
	}
	d.rows += len(b.Rows)
	if !b.More {
		fmt.Fprint(d, "end")
	}
}

// digestOf reads a recording to its end.
func digestOf(t testing.TB, in io.Reader) (*digest, error) {
	t.Helper()
	r, err := wire.NewReader(in)
	check(t, err)
	defer r.Close()
	d := newDigest(t, r.Schemas()[0])
	var b event.Batch
	for {
		if err := r.Next(t.Context(), &b); err != nil {
			return d, err
		}
		d.add(&b)
	}
}

// once can be read only once, as a pipe.
type once struct{ io.Reader }

// A large frame says the same whether it is read twice, from a file that begins with something else, or only once.
func TestLargeFrames(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, single := range []bool{true, false} {
		s := largeSchema(single)
		batches := largeBatches(s)
		recording := largeRecording(t, s, batches)
		want := newDigest(t, s)
		for _, b := range batches {
			want.add(b)
		}
		file := openAfter(t, "before", recording)
		inMemory := bytes.NewReader(append([]byte("x"), recording...))
		_, _ = inMemory.ReadByte()
		for i, in := range []io.Reader{file, inMemory, once{bytes.NewReader(recording)}, &oneByOne{data: recording}} {
			got, err := digestOf(t, in)
			if got.Sum64() != want.Sum64() || got.rows != want.rows || !errors.Is(err, io.EOF) {
				t.Errorf("input %d: %d rows with the digest %x, want %d with %x; then %v", i, got.rows, got.Sum64(), want.rows, want.Sum64(), err)
			}
		}
	}
	if files, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// openAfter returns an open file with the recording behind some text, which has been read.
func openAfter(t testing.TB, text string, recording []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(path, append([]byte(text), recording...), 0o600))
	file, err := os.Open(path)
	check(t, err)
	t.Cleanup(func() { file.Close() })
	_, err = file.Seek(int64(len(text)), io.SeekStart)
	check(t, err)
	return file
}

// A large frame that is cut or changed says nothing.
func TestDamagedLargeFrames(t *testing.T) {
	t.Parallel()
	s := largeSchema(true)
	recording := largeRecording(t, s, largeBatches(s))
	cuts := frameCuts(recording)
	r := rand.New(rand.NewPCG(3, 1))
	for range 12 {
		at := cuts[3] + r.IntN(cuts[len(cuts)-3]-cuts[3]) // from the first large frame to the end of the second
		changed := bytes.Clone(recording)
		changed[at] ^= 1 << r.UintN(8)
		for name, bad := range map[string][]byte{"cut": recording[:at], "changed": changed} {
			for _, in := range []io.Reader{bytes.NewReader(bad), once{bytes.NewReader(bad)}} {
				got, err := digestOf(t, in)
				if !knownDamage(err) || got.rows != 3 {
					t.Errorf("%s at byte %d: %d rows, then %v", name, at, got.rows, err)
				}
			}
		}
	}
}

// changing is a file whose bytes change, or go, between the first reading and the second.
type changing struct {
	*bytes.Reader
	again func(p []byte, off int64) (int, error)
}

func (c *changing) ReadAt(p []byte, off int64) (int, error) { return c.again(p, off) }

// What changes while it is read gives an error, and no row that is not in the recording.
func TestLargeFramesThatChange(t *testing.T) {
	t.Parallel()
	s := largeSchema(true)
	recording := largeRecording(t, s, largeBatches(s))
	half := int64(len(recording)) / 2
	in := bytes.NewReader(recording)
	dead := errors.New("the disk died")
	for name, c := range map[string]struct {
		again func(p []byte, off int64) (int, error)
		want  error
	}{
		"other bytes": {func(p []byte, off int64) (int, error) {
			n, err := in.ReadAt(p, off)
			if off > half {
				p[n/2] ^= 1
			}
			return n, err
		}, wire.ErrCorrupt},
		"cut":      {io.NewSectionReader(in, 0, half).ReadAt, wire.ErrTruncated},
		"an error": {func([]byte, int64) (int, error) { return 0, dead }, dead},
	} {
		got, err := digestOf(t, &changing{bytes.NewReader(recording), c.again})
		if !errors.Is(err, c.want) || got.rows >= 100_006 {
			t.Errorf("%s: %d rows, then %v; want %v", name, got.rows, err, c.want)
		}
	}
}

// Where there is no room for a temporary file, the error says what it is for.
func TestLargeFramesWithoutRoom(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	s := largeSchema(true)
	recording := largeRecording(t, s, largeBatches(s))
	_, err := digestOf(t, once{bytes.NewReader(recording)})
	if !errors.Is(err, os.ErrNotExist) || knownDamage(err) {
		t.Errorf("got %v", err)
	}
	wantError(t, err, "a temporary file is needed for a large frame from a pipe")
	if _, err := digestOf(t, bytes.NewReader(recording)); !errors.Is(err, io.EOF) {
		t.Errorf("a file needs none, but: %v", err)
	}
}

// A large frame of a type that is never large is damage, and one of an unknown type is skipped.
func TestLargeFramesOfOtherTypes(t *testing.T) {
	t.Parallel()
	frames, _ := split(writeExample(t))
	much := make([]byte, 3<<20)
	for _, kind := range []byte("CcRfE") {
		_, _, err := read(join(append(frames[:1:1], rawFrame{kind, much})))
		if !errors.Is(err, wire.ErrCorrupt) {
			t.Errorf("%c: %v", kind, err)
		}
		wantError(t, err, "3145728 bytes, which is too many")
	}
	want, _, err := read(join(frames))
	check(t, err)
	got, _, err := read(join(slices.Insert(slices.Clone(frames), 2, rawFrame{'x', much})))
	if err != nil || describe(got) != describe(want) {
		t.Errorf("%v; got %s", err, describe(got))
	}
}

// A large frame takes as little memory as a small one.
func TestMemoryOfLargeFrames(t *testing.T) {
	s := &event.Schema{Name: "large", Single: true, Size: 48, Fields: []event.Field{{Name: "n", Kind: event.Uint, Size: 8, Parent: event.NoParent}}}
	row := bytes.Repeat([]byte{1}, 48)
	recording := wiretest.RecordBatches(t, headerOf(s), &event.Batch{Schema: s, Rows: slices.Repeat([][]byte{row}, 1<<20)})
	r, err := wire.NewReader(bytes.NewReader(recording))
	check(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rows := 0
	var b event.Batch
	for ; rows < 1<<20; rows += len(b.Rows) {
		check(t, r.Next(t.Context(), &b))
	}
	runtime.ReadMemStats(&after)
	if used := (after.TotalAlloc - before.TotalAlloc) >> 10; used > 2048 {
		t.Errorf("reading %d MiB took %d KiB", len(recording)>>20, used)
	}
}
