// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"strings"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/digits"
)

func jsonFormat() Format {
	return Format{
		Name:      "json",
		Doc:       "JSON: one object per line, or one array per line for data sources of arrays.",
		AllFields: true,
		Lines:     true,
		Bind: func(s *event.Schema, o Options) (Encoder, error) {
			return bindJSON(s, o, jsonLayout{})
		},
	}
}

// jsonEncoder writes json and jsonpretty, which differ only in the text between values.
type jsonEncoder struct {
	frame
	array
	steps []jsonStep
	tail  string
	need  int // room that the first steps take
	spill spill
	lengths
	// doubts are the texts of fields in the row that is being written, except those that promise
	// to be plain.
	doubts []extent

	memos []*jsonMemo
	now   func() time.Time
	since time.Time // when the memos last forgot their texts
}

// extent is a string or a number within a buffer.
type extent struct {
	start, end int
	number     bool
}

// jsonStep writes one field: the text before it and its value.
type jsonStep struct {
	head    [headSize]byte // the beginning of prefix, copied in one go
	headLen uint32
	need    int32 // room that the steps after this one take
	prefix  string
	value
}

// headSize is how many bytes of a prefix are copied whatever its length: most prefixes are shorter.
const headSize = 32

// scratch is the number of bytes that stores of fixed size may write beyond their text.
const scratch = headSize + numberRoom

var (
	jsonBrackets = brackets{"[", ",", "]"}
	jsonWords    = nonFinite{"null", "null", "null", false}
)

func bindJSON(s *event.Schema, o Options, l jsonLayout) (Encoder, error) {
	p := plan{schema: s, words: &jsonWords, memos: o.Memos}
	depth := 0
	if !s.Single {
		depth = 1
	}
	l.object(&p, newTree(s, treeFields(s, o.Fields)), depth)
	if p.err != nil {
		return nil, p.err
	}
	rememberRuns(&p)
	if s.Single {
		p.text("\n")
	}
	e := newJSONEncoder(&p)
	e.frame = l.frame(s.Single)
	if e.spill = o.Spill; e.spill != nil {
		e.lengths.addAll(e.steps)
	}
	return e, nil
}

// newJSONEncoder makes an encoder from a plan, without a frame.
func newJSONEncoder(p *plan) *jsonEncoder {
	e := &jsonEncoder{tail: p.pending, now: time.Now, steps: make([]jsonStep, len(p.steps))}
	need := len(e.tail) + scratch
	for i := len(p.steps) - 1; i >= 0; i-- {
		st := jsonStep{prefix: p.steps[i].prefix, headLen: uint32(len(p.steps[i].prefix)), need: int32(need), value: p.steps[i].value}
		copy(st.head[:], st.prefix)
		if room, fixed := jsonRoom(&st.value); fixed {
			need += len(st.prefix) + room
		} else {
			need = len(st.prefix) + room + scratch
		}
		e.steps[i] = st
		if st.memo != nil {
			e.memos = append(e.memos, st.memo)
		}
	}
	e.need = need
	e.doubts = make([]extent, 0, len(e.steps))
	return e
}

// jsonRoom returns the room in bytes that a value needs, and whether that is always enough. A value that can
// be longer makes room for itself, and for the steps after it.
func jsonRoom(v *value) (room int, fixed bool) {
	switch {
	case v.op == opString:
		return int(v.size) + 2, true
	case v.op <= opOddInt || v.op == opBool || v.op == opOddBool:
		return numberRoom, true
	}
	return 2, false
}

// Head implements Encoder.
func (e *jsonEncoder) Head(dst []byte) []byte { return dst }

// Append implements Encoder.
func (e *jsonEncoder) Append(dst []byte, b *event.Batch) []byte {
	if len(b.Rows) > 0 {
		e.forgetInTime()
		dst = e.before(dst, &e.frame)
	}
	for i := range b.Rows {
		if i > 0 {
			dst = append(dst, e.between...)
		}
		if e.spill != nil && e.isLong(b, i) {
			dst = e.appendLongRow(dst, b, i, e.spill)
		} else {
			dst = e.appendRow(dst, b, i)
		}
		dst = e.spill.long(dst)
	}
	return e.after(dst, &e.frame, b)
}

// memory is for how long texts are remembered, because they may depend on facts that rarely change.
const memory = time.Second

// forgetInTime makes all memos format their texts again at intervals.
func (e *jsonEncoder) forgetInTime() {
	if len(e.memos) == 0 {
		return
	}
	if now := e.now(); now.Sub(e.since) >= memory {
		e.since = now
		e.forget()
	}
}

func (e *jsonEncoder) forget() {
	for _, m := range e.memos {
		m.forget()
	}
}

// appendRow writes a row; every event goes through it. It writes into a buffer that is large
// enough for all steps up to the next value of unknown length.
//
// It checks the texts of fields at the very end. Reading them just after their bytes were
// stored would cost more than all the rest: until a store has reached the cache, a processor cannot
// load a word that is wider than the store. If a text needs escapes, or a number is not a number, it
// writes the row again.
func (e *jsonEncoder) appendRow(dst []byte, b *event.Batch, row int) []byte {
	start := len(dst)
	buf, n := reserve(dst, e.need)
	e.doubts = e.doubts[:0]
	for i := 0; ; i++ {
		if n, i = putFixed(buf, n, e.steps, i, b.Rows[row]); i == len(e.steps) {
			break
		}
		s := &e.steps[i]
		switch s.op {
		case opText:
			buf[n] = '"'
			dst = s.text(buf[:n+1], b, row)
			if !s.plain {
				e.doubts = append(e.doubts, extent{n + 1, len(dst), false})
			}
			dst = append(dst, '"')
		case opTextNumber:
			dst = s.text(buf[:n], b, row)
			if !s.plain {
				e.doubts = append(e.doubts, extent{n, len(dst), true})
			}
		case opMemo:
			dst = s.memo.append(buf[:n], b, row)
		case opColumnMemo:
			dst = s.columns.append(buf[:n], b, row)
		default:
			dst = s.appendOther(buf[:n], b, row)
		}
		buf, n = reserve(dst, int(s.need))
	}
	if len(e.doubts) > 0 && !e.isSound(buf) {
		return e.appendRowCarefully(buf[:start], b, row)
	}
	return append(buf[:n], e.tail...)
}

// isSound reports whether the texts of fields need no escapes, and the numbers are numbers.
func (e *jsonEncoder) isSound(buf []byte) bool {
	for _, t := range e.doubts {
		if t.number && !isNumber(buf[t.start:t.end]) || !t.number && plainEnd(buf, t.start, t.end) != t.end {
			return false
		}
	}
	return true
}

// appendRowCarefully is appendRow for rows in which a text needs escapes, or is not a number.
func (e *jsonEncoder) appendRowCarefully(dst []byte, b *event.Batch, row int) []byte {
	for i := range e.steps {
		s := &e.steps[i]
		dst = append(dst, s.prefix...)
		if s.op == opText {
			dst = append(dst, '"')
			dst = append(escapeFrom(s.text(dst, b, row), len(dst)), '"')
		} else {
			dst = s.appendOther(dst, b, row)
		}
	}
	return append(dst, e.tail...)
}

// putFixed executes steps, beginning with the i-th, up to a step whose value has no fixed size. It writes the
// text before that value. It returns the end of what it wrote and the index of that step. Each event
// spends most of its time here, so it calls other functions only for long numbers.
func putFixed(buf []byte, n int, steps []jsonStep, i int, rec []byte) (int, int) {
	for ; i < len(steps); i++ {
		s := &steps[i]
		*(*[headSize]byte)(buf[n:]) = s.head
		if s.headLen > headSize {
			copy(buf[n+headSize:], s.prefix[headSize:])
		}
		n += int(s.headLen)
		var v uint64
		switch s.op {
		case opUint8:
			v = uint64(rec[s.off])
		case opUint16:
			v = uint64(binary.LittleEndian.Uint16(rec[s.off:]))
		case opUint32:
			v = uint64(binary.LittleEndian.Uint32(rec[s.off:]))
		case opUint64:
			v = binary.LittleEndian.Uint64(rec[s.off:])
		case opInt32:
			n, v = putSign(buf, n, int64(int32(binary.LittleEndian.Uint32(rec[s.off:]))))
		case opInt64:
			n, v = putSign(buf, n, int64(binary.LittleEndian.Uint64(rec[s.off:])))
		case opString:
			buf[n] = '"'
			k, all := putPlain(buf, n+1, rec[s.off:s.off+s.size])
			if !all {
				return n, i
			}
			n += k + 2
			buf[n-1] = '"'
			continue
		case opBool:
			n += copy(buf[n:], boolNames[min(rec[s.off], 1)])
			continue
		default:
			return n, i
		}
		switch { // putUint, in place
		case v < 10: // as most numbers in records are
			buf[n] = '0' + byte(v)
			n++
		case v < 1e8:
			d := digits.Eight(uint32(v))
			leading := bits.TrailingZeros64(d) &^ 7
			binary.LittleEndian.PutUint64(buf[n:], (d|digits.ASCII)>>leading)
			n += 8 - leading>>3
		default:
			n = putUint(buf, n, v)
		}
	}
	return n, i
}

// appendOther appends the values that are less common.
func (s *jsonStep) appendOther(dst []byte, b *event.Batch, row int) []byte {
	rec := b.Rows[row]
	switch s.op {
	case opMemo:
		return s.memo.append(dst, b, row)
	case opColumnMemo:
		return s.columns.append(dst, b, row)
	case opTextNumber, opTextBool, opColumnNumber:
		return s.appendToken(dst, b, row)
	case opArray:
		return s.appendArray(dst, rec, &jsonBrackets)
	case opString, opTrailingText, opColumnText:
		return append(appendJSON(append(dst, '"'), s.reader.Bytes(b, row)), '"')
	case opBytes, opColumnBytes:
		return append(s.appendHex(append(dst, '"'), b, row), '"')
	}
	return s.appendScalar(dst, rec, s.op, &s.number)
}

// jsonLayout places the blanks and line ends of JSON.
type jsonLayout struct{ indent bool }

func (l jsonLayout) frame(single bool) frame {
	switch {
	case single:
		return frame{} // each event ends its line itself
	case l.indent:
		return frame{"[" + l.newline(1), "," + l.newline(1), l.newline(0) + "]\n", "[]\n"}
	}
	return frame{"[", ",", "]\n", "[]\n"}
}

func (l jsonLayout) object(p *plan, n *node, depth int) {
	if len(n.kids) == 0 {
		p.text("{}")
		return
	}
	p.text("{")
	for i, kid := range n.kids {
		if i > 0 {
			p.text(",")
		}
		p.text(l.newline(depth+1), `"`, string(appendJSON(nil, []byte(kid.name))), `":`, l.blank())
		if kid.field == object {
			l.inner(p, kid, depth+1)
		} else {
			p.add(p.bind(kid.field), jsonBrackets)
		}
	}
	p.text(l.newline(depth), "}")
}

// inner places an object within another. An object that depends on few bytes, such as the process, is
// often the same for many events, so the encoder remembers its text.
func (l jsonLayout) inner(p *plan, n *node, depth int) {
	sub := plan{schema: p.schema, words: p.words, memos: p.memos}
	l.object(&sub, n, depth)
	p.err = cmp.Or(p.err, sub.err)
	if n.leaves() >= memoMembers {
		if v, ok := remembered(&sub); ok {
			p.add(v, jsonBrackets)
			return
		}
	}
	p.insert(&sub)
}

// newline starts a line at the given depth, in a layout that has lines.
func (l jsonLayout) newline(depth int) string {
	if !l.indent {
		return ""
	}
	return "\n" + strings.Repeat("  ", depth)
}

func (l jsonLayout) blank() string {
	if !l.indent {
		return ""
	}
	return " "
}
