// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import "io"

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
