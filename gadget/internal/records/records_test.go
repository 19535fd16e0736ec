// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package records

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// pieces is a reader that hands out its bytes in pieces, as an iterator does.
type pieces struct {
	data []byte
	// sizes are the sizes of the pieces, repeated; 0: the read returns nothing yet. Empty: all data at once.
	sizes []byte
	step  int
	end   error // instead of io.EOF
}

func (p *pieces) Read(to []byte) (int, error) {
	if len(to) == 0 {
		panic("a read of nothing")
	}
	if len(p.data) == 0 {
		if p.end != nil {
			return 0, p.end
		}
		return 0, io.EOF
	}
	n := len(p.data)
	if len(p.sizes) > 0 {
		n = int(p.sizes[p.step%len(p.sizes)])
		p.step++
	}
	if n == 0 {
		return 0, unix.EAGAIN
	}
	n = copy(to, p.data[:min(n, len(p.data))])
	p.data = p.data[n:]
	return n, nil
}

// numbered returns n bytes that do not repeat soon.
func numbered(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i) ^ byte(i>>8)*31
	}
	return data
}

func wantRows(t *testing.T, s *Set, size int, want []byte) {
	t.Helper()
	rows := s.AppendRows(nil)
	if len(rows) != s.Len() || len(rows) != len(want)/size {
		t.Fatalf("%d rows, Len %d, want %d", len(rows), s.Len(), len(want)/size)
	}
	for i, row := range rows {
		if !bytes.Equal(row, want[i*size:(i+1)*size]) || cap(row) != size {
			t.Fatalf("row %d: % x (capacity %d), want % x", i, row, cap(row), want[i*size:(i+1)*size])
		}
	}
}

// However a stream comes, the records are the same.
func TestRecordsOfPieces(t *testing.T) {
	t.Parallel()
	for _, size := range []int{3, 72, 4096, chunkSize - 1, chunkSize, chunkSize + 1, 2 * chunkSize} {
		data := numbered((max(chunkSize/size, 1) + 2) * size) // more than one chunk has room for
		for _, sizes := range [][]byte{nil, {7, 0, 250}, {255}} {
			wantSame(t, size, data, sizes)
		}
		wantSame(t, size, data[:5000/size*size], []byte{1})
	}
}

// wantSame checks that the data arrives unchanged when it is read in pieces.
func wantSame(t *testing.T, size int, data, sizes []byte) {
	t.Helper()
	s := New(uint32(size))
	for range 2 { // the second time in memory that is there
		s.Reset()
		if err := s.Add(t.Context(), &pieces{data: data, sizes: sizes}); err != nil {
			t.Fatalf("size %d, pieces %v: %v", size, sizes, err)
		}
		wantRows(t, s, size, data)
	}
}

// The records of several streams follow each other.
func TestRecordsOfSeveralStreams(t *testing.T) {
	t.Parallel()
	const size = 100
	data := numbered(20000 * size)
	s := New(size)
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 3333*size)
		if err := s.Add(t.Context(), &pieces{data: rest[:n]}); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := s.Add(t.Context(), &pieces{}); err != nil { // one of nothing
		t.Fatal(err)
	}
	wantRows(t, s, size, data)
	s.Reset()
	wantRows(t, s, size, nil)
}

// A stream that fails adds no records; the records of earlier streams stay.
func TestStreamsThatGoWrong(t *testing.T) {
	t.Parallel()
	const size = 10
	broken := errors.New("broken")
	good := numbered(1000 * size)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		stream pieces
		want   error
	}{
		"half a record":        {t.Context(), pieces{data: numbered(5*size + 3)}, &PartialError{Bytes: 53, Size: size}},
		"less than one":        {t.Context(), pieces{data: numbered(9), sizes: []byte{2}}, &PartialError{Bytes: 9, Size: size}},
		"half of a large one":  {t.Context(), pieces{data: numbered(3*chunkSize + 1)}, &PartialError{Bytes: 3*chunkSize + 1, Size: size}},
		"an error at the end":  {t.Context(), pieces{data: numbered(5 * size), end: broken}, broken},
		"an error in a record": {t.Context(), pieces{data: numbered(3*chunkSize + 1), end: broken}, broken},
		"the end of the run":   {cancelled, pieces{data: numbered(5 * size)}, context.Canceled},
	} {
		s := New(size)
		if err := s.Add(t.Context(), &pieces{data: good}); err != nil {
			t.Fatal(err)
		}
		err := s.Add(c.ctx, &c.stream)
		var partial, wantPartial *PartialError
		if errors.As(c.want, &wantPartial) {
			if !errors.As(err, &partial) || *partial != *wantPartial {
				t.Errorf("%s: got %v, want %v", name, err, c.want)
			}
		} else if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		wantRows(t, s, size, good)
		if err := s.Add(t.Context(), &pieces{data: good}); err != nil {
			t.Fatal(err)
		}
		wantRows(t, s, size, slices.Concat(good, good))
	}
}

// A program that never gets on is given up, after a while and without keeping a CPU busy.
func TestStreamWithoutEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := New(8)
		if err := s.Add(t.Context(), &pieces{data: numbered(8), sizes: []byte{0}}); !errors.Is(err, errNoEnd) {
			t.Errorf("got %v, want %v", err, errNoEnd)
		}
		if d := time.Since(began); d < 500*time.Millisecond || d > 2*time.Second {
			t.Errorf("given up after %v", d)
		}
		// Any progress counts.
		busy := append(bytes.Repeat([]byte{0}, tooOften-1), 4)
		if err := s.Add(t.Context(), &pieces{data: numbered(80), sizes: busy}); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := s.Add(ctx, &pieces{data: numbered(8), sizes: []byte{0}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the run's end: %v", err)
		}
	})
}

func TestNothingIsAllocatedForARecord(t *testing.T) {
	const size = 72
	data := numbered(100_000 * size)
	s := New(size)
	var rows [][]byte
	var stream pieces
	if n := testing.AllocsPerRun(5, func() {
		s.Reset()
		stream = pieces{data: data}
		if err := s.Add(t.Context(), &stream); err != nil {
			t.Fatal(err)
		}
		rows = s.AppendRows(rows[:0])
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if len(rows) != 100_000 {
		t.Errorf("%d rows", len(rows))
	}
}

// FuzzAdd checks that Add returns the data unchanged, split into records, or an error.
func FuzzAdd(f *testing.F) {
	f.Add(uint32(4), []byte("abcdefgh"), []byte{3, 0, 1})
	f.Add(uint32(5), []byte("abcdefgh"), []byte{})
	f.Add(uint32(chunkSize), []byte("abcdefgh"), []byte{255})
	f.Fuzz(func(t *testing.T, size uint32, data, sizes []byte) {
		size = size%(2*chunkSize) + 1
		if len(bytes.Trim(sizes, "\x00")) == 0 {
			sizes = nil // would never end
		}
		if len(sizes) > tooOften/2 {
			sizes = sizes[:tooOften/2]
			sizes[0] = 1
		}
		s := New(size)
		err := s.Add(t.Context(), &pieces{data: data, sizes: sizes})
		if len(data)%int(size) == 0 {
			if err != nil {
				t.Fatal(err)
			}
			wantRows(t, s, int(size), data)
			return
		}
		var partial *PartialError
		if !errors.As(err, &partial) || partial.Bytes != len(data) || s.Len() != 0 {
			t.Fatalf("%d bytes: %v, %d records", len(data), err, s.Len())
		}
	})
}
