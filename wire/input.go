// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	minInput = 64 << 10
	// maxEmptyReads is how often in a row a reader may return neither bytes nor an error.
	maxEmptyReads = 100
)

// input holds the bytes of a recording that have arrived and are not used yet, in one piece. It grows with the
// bytes that arrive, not with the length that they announce.
type input struct {
	r        io.Reader
	buf      []byte
	pos, end int   // buf[pos:end] has arrived
	off      int64 // the place of buf[pos] in the recording
	err      error // the last error of r; it counts when buf[pos:end] is used up

	at       io.ReaderAt // the same bytes as r; nil: they can be read only once
	base     int64       // the place of the recording in at
	makeCopy func() (*os.File, error)
	copy     *os.File // has the bytes that are read again, without at; nil before the first
}

// newInput returns an input that begins with the next byte of r.
func newInput(r io.Reader) input {
	in := input{r: r, makeCopy: TempFile}
	if f, ok := r.(interface {
		io.ReaderAt
		io.Seeker
	}); ok {
		if here, err := f.Seek(0, io.SeekCurrent); err == nil { // not a pipe
			in.at, in.base = f, here
		}
	}
	return in
}

// TempFile returns a new file that has no name any more, in the folder for temporary files.
func TempFile() (*os.File, error) {
	f, err := os.CreateTemp("", "gizmo-replay-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// again returns where the bytes from here on can be read a second time: in the input itself, or in a temporary file to which the caller
// writes them. The file is reused for each frame.
func (in *input) again(kind byte) (at io.ReaderAt, off int64, into io.Writer, err error) {
	if kind != frameBatch && kind != frameDictionary { // only these are read again
		return nil, 0, io.Discard, nil
	}
	if in.at != nil {
		return in.at, in.base + in.off, io.Discard, nil
	}
	if in.copy == nil {
		if in.copy, err = in.makeCopy(); err != nil {
			return nil, 0, nil, fmt.Errorf("a temporary file is needed for a large frame from a pipe, which can be read only once: %w", err)
		}
	}
	if _, err := in.copy.Seek(0, io.SeekStart); err != nil {
		return nil, 0, nil, err
	}
	return in.copy, 0, in.copy, nil
}

// close releases the memory and the file of the input.
func (in *input) close() {
	in.buf, in.pos, in.end = nil, 0, 0
	if in.copy != nil {
		_ = in.copy.Close() // it was only read since the last write
		in.copy = nil
	}
}

func (in *input) arrived() []byte { return in.buf[in.pos:in.end] }

// peek waits for n bytes and returns them without using them. They stay valid until the next peek.
// If fewer come, it returns those with the reason.
func (in *input) peek(n int) ([]byte, error) {
	for in.end-in.pos < n {
		if in.err != nil {
			return in.arrived(), in.err
		}
		in.makeRoom(n)
		in.read()
	}
	return in.buf[in.pos : in.pos+n], nil
}

// use drops the next n bytes, which were peeked before.
func (in *input) use(n int) {
	in.pos += n
	in.off += int64(n)
}

// makeRoom makes room to read at least one more of the n bytes.
func (in *input) makeRoom(n int) {
	if in.pos == in.end {
		in.pos, in.end = 0, 0
	}
	if in.end < len(in.buf) {
		return
	}
	buf := in.buf
	if in.pos == 0 {
		buf = make([]byte, max(minInput, min(2*len(in.buf), n+minInput)))
	}
	in.end = copy(buf, in.arrived())
	in.buf, in.pos = buf, 0
}

func (in *input) read() {
	for range maxEmptyReads {
		n, err := in.r.Read(in.buf[in.end:])
		in.end += n
		in.err = err
		if n > 0 || err != nil {
			return
		}
	}
	in.err = io.ErrNoProgress
}
