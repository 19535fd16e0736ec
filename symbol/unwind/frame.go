// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import "encoding/binary"

// cie is what the functions of a part of a file have in common (Common Information Entry).
type cie struct {
	codeAlign    uint64
	dataAlign    int64
	encoding     byte // of pointers to code
	augmented    bool // FDEs have augmentation data
	signal       bool // the kernel made these frames for signal handlers
	instructions []byte
}

// maxAugmentation limits the length of a CIE's augmentation; compilers write up to five letters.
const maxAugmentation = 8

// record returns the entry at the start of b without its length; nil if it has no whole entry. Entries of 4 GiB and more, which have
// another form, are none.
func record(b []byte) []byte {
	if len(b) < 4 {
		return nil
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if n > uint64(len(b)-4) {
		return nil
	}
	return b[4 : 4+n]
}

// parseCIE reads a CIE from behind its length.
func parseCIE(b []byte) (info cie, ok bool) {
	c := cursor{b: b}
	if id := c.unsigned(4); id != 0 || c.bad {
		return info, false
	}
	version := c.u8()
	augmentation := c.augmentation()
	info.codeAlign = c.uleb()
	info.dataAlign = c.sleb()
	var returns uint64
	switch version {
	case 1:
		returns = uint64(c.u8())
	case 3:
		returns = c.uleb()
	default:
		return info, false
	}
	if c.bad || returns != RegisterIP {
		return info, false
	}
	if len(augmentation) > 0 && !info.augment(&c, augmentation) {
		return info, false
	}
	info.instructions = c.bytes(uint64(c.left()))
	return info, !c.bad
}

// augmentation reads a string that ends with 0.
func (c *cursor) augmentation() []byte {
	start := c.at
	for !c.bad && c.at-start <= maxAugmentation {
		if c.u8() == 0 && !c.bad {
			return c.b[start : c.at-1]
		}
	}
	c.fail()
	return nil
}

// augment reads the augmentation data of a CIE.
func (info *cie) augment(c *cursor, letters []byte) bool {
	if letters[0] != 'z' {
		return false
	}
	info.augmented = true
	data := cursor{b: c.bytes(c.uleb())}
	for _, letter := range letters[1:] {
		switch letter {
		case 'R':
			info.encoding = data.u8()
		case 'L': // encoding of pointers to what exceptions need
			data.u8()
		case 'P': // the function that handles exceptions
			data.number(data.u8())
		case 'S':
			info.signal = true
		default:
			return false
		}
	}
	return !c.bad && !data.bad
}

// fde is what one function has (Frame Description Entry).
type fde struct {
	start, size  uint64
	instructions []byte
	addr         uint64 // of the instructions
}

// parseFDE reads an FDE from behind its length; addr is the address of b.
func parseFDE(b []byte, addr uint64, info *cie) (f fde, ok bool) {
	c := cursor{b: b, addr: addr}
	c.unsigned(4) // the distance to the CIE
	f.start = c.pointer(info.encoding, 0)
	f.size = c.number(info.encoding)
	if info.augmented {
		c.bytes(c.uleb())
	}
	f.addr = addr + uint64(c.at)
	f.instructions = c.bytes(uint64(c.left()))
	return f, !c.bad
}
