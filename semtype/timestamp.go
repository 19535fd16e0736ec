// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/digits"
)

func timestampType() Type {
	return Type{
		CName: timestampName,
		On:    "__u64",
		Doc:   "A moment, in nanoseconds since boot as `bpf_ktime_get_boot_ns()` returns it.",
		Adds: "The moment in UTC. The field itself shows the same moment in nanoseconds since " +
			"1970, whatever its name. 0, and a number that stands for a time " +
			"beyond the year 2262, have an empty text, and the field itself shows the number as it is.",
		Template:      "timestamp",
		AddedTemplate: "timestamp",
		Annotations: append(targetAnnotation("timestamp"), Annotation{"formatters.timestamp.format",
			"Layout as package time of Go has it; default `" + defaultLayout + "`."}),
		Example: &Example{Field: "timestamp", Raw: 1721943247136974948, Text: "2024-07-25T21:34:07.136974948Z"},
		Extend:  extendTimestamp,
	}
}

// HasTimes reports whether events of s have times that the clock of an Env converts.
func HasTimes(s *event.Schema) bool {
	return slices.ContainsFunc(s.Fields, func(f event.Field) bool { return slices.Contains(f.Types, timestampName) })
}

const timestampName = "gadget_timestamp"

const defaultLayout = "2006-01-02T15:04:05.000000000Z07:00"

func extendTimestamp(s *event.Schema, i int, env *Env) {
	if f := s.Fields[i]; isNumber(&f) {
		s.Fields[i].Text, s.Fields[i].Plain = unixNanoText(f, env), true
	}
	n := len(s.Fields)
	layout := s.Fields[i].Ann.Format
	shownAs(timestampText)(s, i, env)
	if len(s.Fields) > n {
		s.Fields[n].Plain = isDefault(layout)
	}
}

func unixNanoText(f event.Field, env *Env) event.TextFunc {
	wall, load := env.wallClock(), loader(f)
	var c nanoClock
	return func(dst []byte, b *event.Batch, row int) []byte {
		v := load(b.Rows[row])
		if at, ok := moment(v, wall.OffsetAt(v)); ok {
			return c.append(dst, at)
		}
		return strconv.AppendUint(dst, v, 10)
	}
}

// loader returns the function that reads the integer f from a record.
func loader(f event.Field) func(rec []byte) uint64 {
	if f.Size != 8 || f.BitSize > 0 {
		return f.Uint
	}
	off := f.Off // nearly all are of this size
	return func(rec []byte) uint64 { return binary.LittleEndian.Uint64(rec[off:]) }
}

// nanoClock writes times as nanoseconds since 1970. Like dateClock it keeps the digits of the second.
type nanoClock struct {
	second int64
	text   []byte // of the second, and nine zeros
}

func (c *nanoClock) append(dst []byte, unixNano int64) []byte {
	second := unixNano / 1e9
	if second <= 0 {
		return strconv.AppendInt(dst, unixNano, 10)
	}
	if second != c.second {
		c.text = append(strconv.AppendInt(c.text[:0], second, 10), "000000000"...)
		c.second = second
	}
	dst = append(dst, c.text...)
	digits.PutNine(dst[len(dst)-9:], uint32(unixNano%1e9))
	return dst
}

func timestampText(f event.Field, env *Env) event.TextFunc {
	wall, load := env.wallClock(), loader(f)
	write := appendMoment(f.Ann.Format)
	return func(dst []byte, b *event.Batch, row int) []byte {
		v := load(b.Rows[row])
		if at, ok := moment(v, wall.OffsetAt(v)); ok {
			return write(dst, at)
		}
		return dst
	}
}

// moment returns the Unix time of a time since boot, both in nanoseconds. It returns false for 0, which means no time, and
// for times that do not fit into 64 bits.
func moment(boot uint64, offset int64) (int64, bool) {
	at := int64(boot) + offset
	return at, boot != 0 && boot <= math.MaxInt64 && (offset < 0 || at >= offset)
}

// appendMoment returns the function that appends a time given in nanoseconds since 1970.
func appendMoment(layout string) func(dst []byte, unixNano int64) []byte {
	if isDefault(layout) {
		return newDateClock().append
	}
	return func(dst []byte, unixNano int64) []byte {
		return time.Unix(0, unixNano).UTC().AppendFormat(dst, layout)
	}
}

func isDefault(layout string) bool { return layout == "" || layout == defaultLayout }

// dateClock writes times in the default layout. Many events come in one second, so it keeps the text of
// the last one and writes only the nanoseconds again.
type dateClock struct {
	second int64
	// text is the text of the second, with zeros for the nanoseconds. The nanoseconds are written to the copy, because
	// bytes that were just written one by one are slow to copy in one piece.
	text [len("2006-01-02T15:04:05.000000000Z")]byte
}

// fraction is where the nanoseconds begin in a dateClock's text.
const fraction = len("2006-01-02T15:04:05.")

func newDateClock() *dateClock {
	c := new(dateClock)
	c.set(0)
	return c
}

func (c *dateClock) append(dst []byte, unixNano int64) []byte {
	second, nano := unixNano/1e9, unixNano%1e9
	if nano < 0 {
		second, nano = second-1, nano+1e9
	}
	if second != c.second {
		c.set(second)
	}
	dst = append(dst, c.text[:]...)
	digits.PutNine(dst[len(dst)-(len(c.text)-fraction):], uint32(nano))
	return dst
}

func (c *dateClock) set(second int64) {
	time.Unix(second, 0).UTC().AppendFormat(c.text[:0], defaultLayout)
	c.second = second
}
