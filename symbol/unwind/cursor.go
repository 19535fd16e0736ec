// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import "encoding/binary"

// cursor reads bytes that nothing vouches for. After the first read beyond their end, or of a number that no compiler writes, it is bad
// and returns only zeros.
type cursor struct {
	b    []byte
	at   int
	addr uint64 // the address of b[0] in the file's own address space
	bad  bool
}

func (c *cursor) fail() {
	c.bad, c.at = true, len(c.b)
}

func (c *cursor) left() int { return len(c.b) - c.at }

// bytes returns the next n bytes; nil if there are fewer.
func (c *cursor) bytes(n uint64) []byte {
	if n > uint64(c.left()) {
		c.fail()
		return nil
	}
	b := c.b[c.at : c.at+int(n)]
	c.at += int(n)
	return b
}

// unsigned reads a number of 1, 2, 4 or 8 bytes.
func (c *cursor) unsigned(size uint64) uint64 {
	b := c.bytes(size)
	if b == nil {
		return 0
	}
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	default:
		return binary.LittleEndian.Uint64(b)
	}
}

// signed reads a signed number of 1, 2, 4 or 8 bytes.
func (c *cursor) signed(size uint64) int64 {
	v := c.unsigned(size)
	shift := 64 - 8*size
	return int64(v<<shift) >> shift
}

func (c *cursor) u8() byte { return byte(c.unsigned(1)) }

// uleb reads an unsigned LEB128 number of up to 64 bits.
func (c *cursor) uleb() uint64 {
	var v uint64
	for shift := 0; shift < 70; shift += 7 {
		b := c.u8()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	c.fail()
	return 0
}

// sleb reads a signed LEB128 number of up to 64 bits.
func (c *cursor) sleb() int64 {
	var v int64
	for shift := 0; shift < 70; shift += 7 {
		b := c.u8()
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if b&0x40 != 0 && shift+7 < 64 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	c.fail()
	return 0
}

// How .eh_frame encodes a pointer: the low half of a byte is its format, the high half what it counts from.
const (
	pointerFormat   = 0x0f
	pointerBase     = 0x70
	pointerAbsolute = 0x00
	pointerRelative = 0x10 // to its own place
	pointerData     = 0x30 // to the start of .eh_frame_hdr
	pointerIndirect = 0x80
	pointerOmitted  = 0xff
)

// number reads a number in the format of an encoding.
func (c *cursor) number(encoding byte) uint64 {
	switch encoding & pointerFormat {
	case 0x00, 0x04, 0x0c:
		return c.unsigned(8)
	case 0x01:
		return c.uleb()
	case 0x02:
		return c.unsigned(2)
	case 0x03:
		return c.unsigned(4)
	case 0x09:
		return uint64(c.sleb())
	case 0x0a:
		return uint64(c.signed(2))
	case 0x0b:
		return uint64(c.signed(4))
	}
	c.fail()
	return 0
}

// pointer reads an encoded pointer. data is what pointers to data count from; 0 if there are none.
func (c *cursor) pointer(encoding byte, data uint64) uint64 {
	here := c.addr + uint64(c.at)
	v := c.number(encoding)
	switch {
	case encoding&pointerIndirect != 0:
		c.fail()
	case encoding&pointerBase == pointerAbsolute:
		return v
	case encoding&pointerBase == pointerRelative:
		return v + here
	case encoding&pointerBase == pointerData && data != 0:
		return v + data
	default:
		c.fail()
	}
	return 0
}
