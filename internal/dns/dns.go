// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package dns reads DNS messages (RFC 1035) of which nothing is certain: they come from the network, may be cut
// anywhere, and their names may form loops. Whatever a message holds, reading it takes time in proportion to its
// length at most, and it never fails: functions return what the message has up to the first mistake. Nothing
// allocates.
package dns

import (
	"encoding/binary"
	"net/netip"
)

// Message is a message, which begins with its header. It may be incomplete.
type Message []byte

// The parts of a message, in bytes.
const (
	headerSize   = 12
	questionSize = 4  // after its name: type, class
	recordSize   = 10 // after its name: type, class, TTL, length of the data
)

// The limits of RFC 1035 for a name: its bytes with their lengths, and those of a label.
const (
	maxName  = 255
	maxLabel = 63
)

// maxPointers limits the pointers in a name. A name of 255 bytes has at most 127 labels, and there is a
// pointer before each at most.
const maxPointers = 127

// IsResponse reports whether the message is an answer rather than a query.
func (m Message) IsResponse() bool { return len(m) >= headerSize && m[2]&0x80 != 0 }

// RCode returns the response code of an answer, as the header has it.
func (m Message) RCode() (code uint16, ok bool) {
	if !m.IsResponse() {
		return 0, false
	}
	return uint16(m[3] & 0x0f), true
}

// Type returns the type that the first question asks for, or, in a message without a question, that of the first
// record. Answers of multicast DNS have no question.
func (m Message) Type() (kind uint16, ok bool) {
	if m.questions() == 0 && m.records() == 0 {
		return 0, false
	}
	end, ok := m.skipName(headerSize)
	if !ok || end+2 > len(m) {
		return 0, false
	}
	return binary.BigEndian.Uint16(m[end:]), true
}

// AppendName appends the name that Type is about in the form of RFC 1035, section 5.1, with a dot at the end: bytes
// that are no printable ASCII as \DDD, and a dot or backslash within a label after a backslash. Of a name with a mistake
// it appends nothing.
func (m Message) AppendName(dst []byte) []byte {
	if m.questions() == 0 && m.records() == 0 {
		return dst
	}
	whole, ok := m.appendName(dst, headerSize)
	if !ok {
		return dst
	}
	return whole
}

// AppendAddresses appends the addresses in the answers, joined by commas, in their order: those of records A and AAAA.
func (m Message) AppendAddresses(dst []byte) []byte {
	off, ok := m.answers()
	before := len(dst)
	for range m.count(6) {
		if !ok {
			break
		}
		var r record
		if r, off, ok = m.record(off); !ok {
			break
		}
		addr, is := r.address()
		if !is {
			continue
		}
		if len(dst) > before {
			dst = append(dst, ',')
		}
		dst = addr.AppendTo(dst)
	}
	return dst
}

// count returns one of the header's counts. A message that is cut within its header has none.
func (m Message) count(at int) int {
	if len(m) < headerSize {
		return 0
	}
	return int(binary.BigEndian.Uint16(m[at:]))
}

func (m Message) questions() int { return m.count(4) }

// records returns the number of records of all kinds that the header promises.
func (m Message) records() int { return m.count(6) + m.count(8) + m.count(10) }

// answers returns where the answers begin, after the questions.
func (m Message) answers() (off int, ok bool) {
	off, ok = headerSize, len(m) >= headerSize
	for n := m.questions(); ok && n > 0; n-- {
		off, ok = m.skipName(off)
		off += questionSize
		ok = ok && off <= len(m)
	}
	return off, ok
}

// record is a record without its name.
type record struct {
	kind, class uint16
	data        []byte
}

// record returns the record at off, and where the next begins.
func (m Message) record(off int) (r record, next int, ok bool) {
	off, ok = m.skipName(off)
	if !ok || off+recordSize > len(m) {
		return r, off, false
	}
	head := m[off : off+recordSize]
	r.kind, r.class = binary.BigEndian.Uint16(head), binary.BigEndian.Uint16(head[2:])
	off += recordSize
	next = off + int(binary.BigEndian.Uint16(head[8:]))
	if next > len(m) {
		return r, off, false
	}
	r.data = m[off:next]
	return r, next, true
}

// The class of addresses. Multicast DNS uses the highest bit of the field for something else (RFC 6762, section 10.2).
const (
	classInternet = 1
	cacheFlush    = 0x8000
)

func (r *record) address() (netip.Addr, bool) {
	if r.class&^cacheFlush != classInternet {
		return netip.Addr{}, false
	}
	switch {
	case r.kind == typeA && len(r.data) == 4, r.kind == typeAAAA && len(r.data) == 16:
		return netip.AddrFromSlice(r.data)
	}
	return netip.Addr{}, false
}

// skipName returns where the name at off ends: after its root, or after its first pointer.
func (m Message) skipName(off int) (end int, ok bool) {
	for off < len(m) {
		switch n := int(m[off]); {
		case n == 0:
			return off + 1, true
		case n&0xc0 == 0xc0:
			return off + 2, off+2 <= len(m)
		case n > maxLabel:
			return off, false
		default:
			off += 1 + n
		}
	}
	return off, false
}

// appendName appends the name at off. The result is not valid if ok is false.
func (m Message) appendName(dst []byte, off int) (_ []byte, ok bool) {
	size, pointers := 1, 0
	for off < len(m) {
		n := int(m[off])
		switch {
		case n == 0:
			if size == 1 {
				dst = append(dst, '.')
			}
			return dst, true
		case n&0xc0 == 0xc0:
			if pointers++; pointers > maxPointers || off+2 > len(m) {
				return dst, false
			}
			off = int(binary.BigEndian.Uint16(m[off:]) &^ 0xc000)
			continue
		}
		size += 1 + n
		if n > maxLabel || size > maxName || off+1+n > len(m) {
			return dst, false
		}
		dst = appendLabel(dst, m[off+1:off+1+n])
		off += 1 + n
	}
	return dst, false
}

func appendLabel(dst, label []byte) []byte {
	for _, c := range label {
		switch {
		case c == '.' || c == '\\':
			dst = append(dst, '\\', c)
		case c <= ' ' || c > '~':
			dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '.')
}
