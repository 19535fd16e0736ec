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

// pieceSize is how much of a large payload is in memory at once.
const pieceSize = 64 << 10

// large is a payload that is not in memory. The frame's checksum was right when its bytes were read for the first time.
type large struct {
	at   io.ReaderAt
	off  int64 // of the payload in at
	size int
	sums []uint32 // the checksum of each piece: the bytes may have changed since
	err  error    // why a piece could not be read; the first
}

var errChanged = errors.New("its bytes have changed while they were read")

// read reads piece i into buf, which has room for it.
func (l *large) read(i int, buf []byte) ([]byte, error) {
	from := i * pieceSize
	buf = buf[:min(pieceSize, l.size-from)]
	if n, err := l.at.ReadAt(buf, l.off+int64(from)); n < len(buf) {
		return nil, err
	}
	if crc32.Checksum(buf, castagnoli) != l.sums[i] {
		return nil, errChanged
	}
	return buf, nil
}

// cursor returns a cursor at the beginning of the payload.
func (f *frame) cursor() cursor {
	if f.large == nil {
		return cursor{rest: f.payload}
	}
	c := cursor{more: &pieces{from: f.large}}
	c.seek(0)
	return c
}

// cursor reads a payload. After the first value that is not there, bad is true and all others read
// as 0.
type cursor struct {
	rest []byte  // the next bytes, which are in memory
	more *pieces // the bytes after them, of a large payload; nil: none
	bad  bool
}

// pieces is the place of a cursor in a large payload.
type pieces struct {
	from *large
	next int    // the first piece that was not read
	buf  []byte // holds the cursor's rest
}

// left returns how many bytes are left.
func (c *cursor) left() int {
	n := len(c.rest)
	if c.more != nil {
		n += max(c.more.from.size-c.more.next*pieceSize, 0)
	}
	return n
}

// fork returns a cursor at the same place.
func (c *cursor) fork() cursor {
	if c.more == nil {
		return *c
	}
	other := cursor{more: &pieces{from: c.more.from}, bad: c.bad}
	other.seek(c.more.from.size - c.left())
	return other
}

// seek moves the cursor of a large payload.
func (c *cursor) seek(off int) {
	c.more.next, c.rest = off/pieceSize, nil
	if c.extend() {
		c.rest = c.rest[off%pieceSize:]
	}
}

// extend reads the next piece and appends it to rest, which has fewer than minRest bytes. It returns false if there is none.
func (c *cursor) extend() bool {
	p := c.more
	if p == nil || p.next*pieceSize >= p.from.size {
		return false
	}
	if p.buf == nil {
		p.buf = make([]byte, minRest+pieceSize)
	}
	n := copy(p.buf, c.rest)
	piece, err := p.from.read(p.next, p.buf[n:])
	if err != nil {
		if p.from.err == nil {
			p.from.err = err
		}
		c.fail()
		return false
	}
	p.next++
	c.rest = p.buf[:n+len(piece)]
	return true
}

// fail ends the reading.
func (c *cursor) fail() {
	c.bad, c.rest = true, nil
	if c.more != nil {
		c.more.next = (c.more.from.size + pieceSize - 1) / pieceSize
	}
}

// minRest is more than the number of bytes that any number takes.
const minRest = 16

// has reports whether n bytes are left, and makes them part of rest. In a large payload n is at most minRest.
func (c *cursor) has(n int) bool {
	for len(c.rest) < n && c.extend() {
	}
	return len(c.rest) >= n
}

func (c *cursor) uvarint() uint64 {
	if len(c.rest) > 0 && c.rest[0] < 0x80 { // most values
		v := c.rest[0]
		c.rest = c.rest[1:]
		return uint64(v)
	}
	c.has(binary.MaxVarintLen64)
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

func (c *cursor) byte() byte {
	if !c.has(1) {
		c.fail()
		return 0
	}
	v := c.rest[0]
	c.rest = c.rest[1:]
	return v
}

func (c *cursor) u64() uint64 {
	if !c.has(8) {
		c.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(c.rest)
	c.rest = c.rest[8:]
	return v
}

// take returns the next n bytes of a payload that is not large, without spare capacity; nil if they are not there.
func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.rest)) {
		c.fail()
		return nil
	}
	p := c.rest[:n:n]
	c.rest = c.rest[n:]
	return p
}

// read fills dst with the next bytes.
func (c *cursor) read(dst []byte) {
	for {
		n := copy(dst, c.rest)
		dst, c.rest = dst[n:], c.rest[n:]
		if len(dst) == 0 {
			return
		}
		if !c.extend() {
			c.fail()
			return
		}
	}
}

// skip skips the next n bytes.
func (c *cursor) skip(n uint64) {
	switch {
	case n > uint64(c.left()):
		c.fail()
	case n <= uint64(len(c.rest)):
		c.rest = c.rest[n:]
	default:
		c.seek(c.more.from.size - c.left() + int(n))
	}
}

// finish returns an error unless the payload held exactly what was read.
func (c *cursor) finish() error {
	if c.bad {
		return errShort
	}
	if n := c.left(); n > 0 {
		return fmt.Errorf("%d bytes too many", n)
	}
	return nil
}

var errShort = errors.New("it is shorter than what it should hold")
