// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// frame is one frame whose checksum is right.
type frame struct {
	kind    byte
	payload []byte // valid until the next frame is read; nil if it is large
	large   *large // else nil
	off     int64  // where it begins in the recording
}

// frameHead is what precedes a payload.
type frameHead struct {
	kind byte
	head int // bytes of the head
	size int // bytes of the payload
}

func (h frameHead) whole() int { return h.head + h.size + checksumSize }

// maxHead is the size of the longest head of a frame: the type and a length up to maxFrame.
const maxHead = 1 + 4

var errLength = errors.New("an impossible length")

// parseHead reads the head of a frame. A head of 0 bytes means that p does not have all of it.
func parseHead(p []byte) (frameHead, error) {
	if len(p) < 2 {
		return frameHead{}, nil
	}
	size, n := binary.Uvarint(p[1:min(len(p), maxHead)])
	limit := uint64(maxFrame)
	if p[0] == frameHeader {
		limit = maxHeader
	}
	if size > limit || n == 0 && len(p) >= maxHead {
		return frameHead{}, errLength
	}
	if n == 0 {
		return frameHead{}, nil
	}
	return frameHead{kind: p[0], head: 1 + n, size: int(size)}, nil
}

// frameArrived says whether a frame can be read without waiting.
func (r *Reader) frameArrived() bool {
	p := r.in.arrived()
	h, err := parseHead(p)
	return err != nil || h.head > 0 && len(p) >= h.whole()
}

// readFrame waits for the next frame and checks it.
func (r *Reader) readFrame() (frame, error) {
	off := r.in.off
	h, err := r.readHead()
	if err != nil {
		return frame{}, err
	}
	if h.size > maxSmall {
		return r.readLarge(h)
	}
	p, err := r.in.peek(h.whole())
	if err != nil {
		return frame{}, r.inputError(err, frameName(h.kind))
	}
	sum := len(p) - checksumSize
	r.crc = crc32.Update(r.crc, castagnoli, p[:sum])
	if r.crc != binary.LittleEndian.Uint32(p[sum:]) {
		return frame{}, r.corrupt(off, frameName(h.kind), errors.New("its checksum is wrong"))
	}
	r.in.use(len(p))
	return frame{kind: h.kind, payload: p[h.head:sum], off: off}, nil
}

// readLarge is readFrame for a payload that is too large to be in memory. It reads the bytes for the checksum. The payload's cursors
// read them again, from the input or from a copy of it.
func (r *Reader) readLarge(h frameHead) (frame, error) {
	f := frame{kind: h.kind, off: r.in.off, large: &large{size: h.size}}
	what := frameName(h.kind)
	head, err := r.in.peek(h.head)
	if err != nil {
		return frame{}, r.inputError(err, what)
	}
	r.crc = crc32.Update(r.crc, castagnoli, head)
	r.in.use(h.head)
	var into io.Writer
	if f.large.at, f.large.off, into, err = r.in.again(h.kind); err != nil {
		return frame{}, r.inputError(err, what)
	}
	for left := h.size; left > 0; {
		piece, err := r.in.peek(min(left, pieceSize))
		if err != nil {
			return frame{}, r.inputError(err, what)
		}
		if _, err := into.Write(piece); err != nil {
			return frame{}, r.inputError(err, what)
		}
		r.crc = crc32.Update(r.crc, castagnoli, piece)
		f.large.sums = append(f.large.sums, crc32.Checksum(piece, castagnoli))
		left -= len(piece)
		r.in.use(len(piece))
	}
	sum, err := r.in.peek(checksumSize)
	if err != nil {
		return frame{}, r.inputError(err, what)
	}
	if r.crc != binary.LittleEndian.Uint32(sum) {
		return frame{}, r.corrupt(f.off, what, errors.New("its checksum is wrong"))
	}
	r.in.use(checksumSize)
	return f, nil
}

func (r *Reader) readHead() (frameHead, error) {
	for n := 1; ; n++ {
		p, err := r.in.peek(n)
		if err != nil {
			return frameHead{}, r.inputError(err, "the start of a frame")
		}
		h, err := parseHead(p)
		if err != nil {
			return frameHead{}, r.corrupt(r.in.off, frameName(p[0]), err)
		}
		if h.head > 0 {
			return h, nil
		}
	}
}

// inputError is the error if the input ended or failed within what.
func (r *Reader) inputError(err error, what string) error {
	at := r.in.off + int64(len(r.in.arrived()))
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w at byte %d, in %s", ErrTruncated, at, what)
	}
	return fmt.Errorf("reading the recording at byte %d, in %s: %w", at, what, err)
}

// corrupt is the error about the frame that begins at off.
func (r *Reader) corrupt(off int64, what string, err error) error {
	return fmt.Errorf("%w at byte %d, in %s: %w", ErrCorrupt, off, what, err)
}
