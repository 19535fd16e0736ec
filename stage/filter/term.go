// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"regexp"

	"github.com/gizmo-ebpf/gizmo/event"
)

// op is what a term does. The order of the ops is that of their cost.
type op uint8

const (
	opUint32 op = iota // an integer in a range
	opUint64
	opUint // of another size, or a bit field
	opWide // of 16 bytes
	opFloat
	opStart  // bytes of the record that begin with a value
	opAny    // one of several terms
	opString // a test of a char[N]
	opColumn // a test of a value of a column's table, once for each handle
	opRest   // a test of the trailing data
	opText   // a test of a value that is read first
)

// test is how the ops that read a text test it.
type test uint8

const (
	testEqual test = iota
	testLess
	testLessEqual
	testContains
	testPrefix
	testSuffix
	testInteger // the text is a number, in a range
	testFloat   // the text is a number with a fraction
	testCIDR    // the text is an address, in a network
	testRegexp
)

// term is one prepared comparison.
type term struct {
	op   op
	test test
	// negate: the term holds where its op does not.
	negate bool
	// off and end are the place of the value in the record.
	off, end uint32
	// shift and mask cut a bit field out of its bytes. The mask has as many bits as the value.
	shift uint8
	mask  uint64
	// low and width are those of span, for values of at most 64 bits.
	low, width uint64
	span       *span
	float      floatTest
	value      string
	regexp     *regexp.Regexp
	network    netip.Prefix
	reader     *event.Reader
	text       event.TextFunc // the function that reader calls; nil if reader does more than that
	known      *verdicts
	any        []term
}

// holds reports whether the term holds for a row. buf is scratch space.
func (t *term) holds(b *event.Batch, row int, buf *[]byte) bool {
	var is bool
	rec := b.Rows[row]
	switch t.op {
	case opUint32:
		is = (uint64(binary.LittleEndian.Uint32(rec[t.off:]))-t.low)&t.mask <= t.width
	case opUint64:
		is = binary.LittleEndian.Uint64(rec[t.off:])-t.low <= t.width
	case opUint:
		is = (event.LoadUint(rec[t.off:], t.end-t.off)>>t.shift-t.low)&t.mask <= t.width
	case opStart:
		is = string(rec[t.off:t.end]) == t.value
	default:
		is = t.isSlow(b, row, buf)
	}
	return is != t.negate
}

// isSlow is the rest of holds. holds is short so that the quick ops stay quick.
func (t *term) isSlow(b *event.Batch, row int, buf *[]byte) bool {
	rec := b.Rows[row]
	switch t.op {
	case opWide:
		return t.span.has(uint128{low: binary.LittleEndian.Uint64(rec[t.off:]), high: binary.LittleEndian.Uint64(rec[t.off+8:])})
	case opFloat:
		x, _ := t.reader.Float(b, row)
		return t.float.is(x)
	case opAny:
		for i := range t.any {
			if t.any[i].holds(b, row, buf) {
				return true
			}
		}
		return false
	case opString:
		return t.isText(event.CString(rec[t.off:t.end]))
	case opColumn:
		return t.isKnown(b, row, buf)
	case opRest:
		return t.isText(t.reader.Bytes(b, row))
	}
	if t.text != nil && t.test != testInteger && t.test != testFloat {
		*buf = t.text((*buf)[:0], b, row)
		return t.isText(*buf)
	}
	return t.isRead(b, row, buf)
}

// isRead reads a value of any origin and tests it.
func (t *term) isRead(b *event.Batch, row int, buf *[]byte) bool {
	switch t.test {
	case testInteger:
		high, low, ok := t.reader.Wide(b, row)
		return ok && t.span.has(uint128{high, low})
	case testFloat:
		x, ok := t.reader.Float(b, row)
		return ok && t.float.is(x)
	}
	*buf = t.reader.Append((*buf)[:0], b, row)
	return t.isText(*buf)
}

// verdicts are the results of a test for the handles of a column: the value of a handle never changes.
type verdicts struct{ is []verdict }

type verdict uint8

const (
	notAsked verdict = iota
	no
	yes
)

// isKnown tests the value of a handle when it comes for the first time, and remembers the result.
func (t *term) isKnown(b *event.Batch, row int, buf *[]byte) bool {
	column, _ := t.reader.Column()
	h := int(column.At(b, row))
	if h >= len(t.known.is) {
		t.known.is = append(t.known.is, make([]verdict, h+1-len(t.known.is))...)
	}
	if t.known.is[h] == notAsked {
		t.known.is[h] = no
		if t.isRead(b, row, buf) {
			t.known.is[h] = yes
		}
	}
	return t.known.is[h] == yes
}

// isText does the term's test.
func (t *term) isText(p []byte) bool {
	switch t.test {
	case testEqual:
		return string(p) == t.value
	case testLess:
		return string(p) < t.value
	case testLessEqual:
		return string(p) <= t.value
	case testContains:
		return containsText(p, t.value)
	case testPrefix:
		return len(p) >= len(t.value) && string(p[:len(t.value)]) == t.value
	case testSuffix:
		return len(p) >= len(t.value) && string(p[len(p)-len(t.value):]) == t.value
	case testCIDR:
		addr, ok := parseAddr(p)
		return ok && t.network.Contains(addr)
	case testRegexp:
		return t.regexp.Match(p)
	}
	return false
}

// containsText is bytes.Contains for a string.
func containsText(p []byte, s string) bool {
	if s == "" {
		return true
	}
	for {
		i := bytes.IndexByte(p, s[0])
		if i < 0 || len(p)-i < len(s) {
			return false
		}
		if string(p[i:i+len(s)]) == s {
			return true
		}
		p = p[i+1:]
	}
}

// floatTest compares a float with a value. No comparison holds for NaN.
type floatTest struct {
	op    operator // equal, less, lessEqual, greater or greaterEqual
	value float64
}

func (t floatTest) is(x float64) bool {
	switch t.op {
	case equal:
		return x == t.value
	case less:
		return x < t.value
	case lessEqual:
		return x <= t.value
	case greater:
		return x > t.value
	}
	return x >= t.value
}

// cost orders terms: expensive terms come last.
func (t *term) cost() int { return int(t.op)<<8 + int(t.test) }
