// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package records cuts the stream of bytes that a BPF iterator writes into records.
package records

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// chunkSize is about how much memory is taken at once, in bytes. The kernel hands out at most 32 KiB
// with each read.
const chunkSize = 256 << 10

// Set holds records of one size, back to back in memory that is reused. The zero value is not usable.
type Set struct {
	size int
	// Each of the chunks has room for a whole number of records, so that no record crosses from one to the next,
	// wherever reads begin and end.
	chunks [][]byte
	full   int // chunks in use, without the last
	used   int // bytes of the last
}

// New returns an empty set for records of size bytes, which must not be 0.
func New(size uint32) *Set {
	return &Set{size: int(size)}
}

// Reset forgets the records and keeps their memory.
func (s *Set) Reset() { s.full, s.used = 0, 0 }

// Len is the number of records.
func (s *Set) Len() int { return s.bytes() / s.size }

func (s *Set) bytes() int { return s.full*s.chunk() + s.used }

// chunk is the size of each chunk.
func (s *Set) chunk() int { return max(chunkSize/s.size, 1) * s.size }

// AppendRows appends the records to rows. They stay as they are until Reset.
func (s *Set) AppendRows(rows [][]byte) [][]byte {
	left := s.Len()
	for _, c := range s.chunks {
		for ; left > 0 && len(c) >= s.size; left-- {
			rows = append(rows, c[:s.size:s.size])
			c = c[s.size:]
		}
	}
	return rows
}

// PartialError says that a stream did not end where a record ends.
type PartialError struct {
	// Bytes is the length of the stream, Size that of a record.
	Bytes, Size int
}

// Error implements error.
func (e *PartialError) Error() string {
	return fmt.Sprintf("it wrote %d bytes, which is not a whole number of records of %d bytes", e.Bytes, e.Size)
}

// Add appends the records of a stream. An error is the reader's, the context's, or a *PartialError;
// all records of the stream are then left out.
func (s *Set) Add(ctx context.Context, r io.Reader) error {
	full, used := s.full, s.used
	before := s.bytes()
	err := s.readAll(ctx, r)
	if n := s.bytes() - before; err == nil && n%s.size != 0 {
		err = &PartialError{Bytes: n, Size: s.size}
	}
	if err != nil {
		s.full, s.used = full, used
	}
	return err
}

// readAll reads to the end of the stream. Each read takes the bytes that the kernel returns, however
// few; for long streams it checks ctx in between.
func (s *Set) readAll(ctx context.Context, r io.Reader) error {
	var idle patience
	for ctx.Err() == nil {
		n, err := r.Read(s.room())
		s.used += n
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case n > 0 && (err == nil || isBusy(err)):
			idle = 0
			continue
		case err != nil && !isBusy(err):
			return err
		}
		if err := idle.wait(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// room returns where the next bytes go. It is not empty.
func (s *Set) room() []byte {
	if s.full == len(s.chunks) {
		s.chunks = append(s.chunks, make([]byte, s.chunk()))
	}
	if s.used == len(s.chunks[s.full]) {
		s.full, s.used = s.full+1, 0
		return s.room()
	}
	return s.chunks[s.full][s.used:]
}

// isBusy reports whether the read has to be repeated: the kernel stops after a million
// objects for which the program wrote nothing, and whenever the program asks for the same object once
// more.
func isBusy(err error) bool { return errors.Is(err, unix.EAGAIN) }

// patience counts how often in a row nothing came.
type patience int

// The bounds of patience: so often at once, and after that, with a pause, until it has been so often.
const (
	patient  = 16
	tooOften = 1000
)

// errNoEnd says that a program asks for the same object forever.
var errNoEnd = errors.New("it asks for the same object again and again")

func (p *patience) wait() error {
	*p++
	if *p > tooOften {
		return errNoEnd
	}
	if *p > patient {
		time.Sleep(time.Millisecond)
	}
	return nil
}
