// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"sort"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gizmo-ebpf/gizmo/event"
)

// table has the series of a plan. A series is a number: an index into the lists.
type table struct {
	plan *plan
	max  int

	byKey   map[string]int
	keys    []string // of the series; "" where it is free, unless there are no key fields
	values  []Value  // one for each instrument of a series; of a histogram the sum
	counts  []uint64 // the buckets of a series
	touched []touch
	free    []int

	overflow  int // the series of what is beyond the limit; none: there is none
	beyond    uint64
	begun     uint64 // series so far
	negative  []bool // of each instrument: a value was
	intervals uint64 // that have ended
	scratch   []byte
}

const none = -1

// touch is when a series got its last row.
type touch struct {
	interval uint64
	at       time.Time
	id       uint64 // tells apart the series that have the same place one after the other; 0: the place is free
	first    int64  // when its first row came, or earlier, in nanoseconds since 1970
}

func (t *touch) used() bool { return t.id != 0 }

func newTable(p *plan, maxSeries int) *table {
	return &table{plan: p, max: maxSeries, byKey: make(map[string]int), overflow: none, negative: make([]bool, len(p.values))}
}

// add adds the rows of a batch.
func (t *table) add(b *event.Batch, now time.Time) {
	for row := range b.Rows {
		at := t.seriesOf(b, row)
		touched := &t.touched[at]
		if !touched.used() {
			t.begin(touched, now)
		}
		touched.interval, touched.at = t.intervals, now
		values := t.values[at*len(t.plan.values):][:len(t.plan.values)]
		counts := t.counts[at*t.plan.buckets:][:t.plan.buckets]
		for i := range t.plan.values {
			if t.plan.values[i].addTo(&values[i], counts, &t.plan.instruments[i], b, row) {
				t.negative[i] = true
			}
		}
	}
}

// begin makes a place that of a new series, which had nothing until first.
func (t *table) begin(place *touch, first time.Time) {
	t.begun++
	place.id, place.first = t.begun, first.UnixNano()
}

// seriesOf returns the series of a row. It allocates only for one that is new.
func (t *table) seriesOf(b *event.Batch, row int) int {
	t.scratch = t.plan.appendKey(t.scratch[:0], b, row)
	return t.find()
}

// find returns the series of the key in scratch.
func (t *table) find() int {
	if at, ok := t.byKey[string(t.scratch)]; ok {
		return at
	}
	if len(t.byKey) >= t.max {
		t.beyond++
		if t.overflow == none {
			t.overflow = t.grow("")
		}
		return t.overflow
	}
	key := string(t.scratch)
	at := t.grow(key)
	t.byKey[key] = at
	return at
}

// grow returns a series that is free.
func (t *table) grow(key string) int {
	if n := len(t.free); n > 0 {
		at := t.free[n-1]
		t.free = t.free[:n-1]
		t.keys[at] = key
		return at
	}
	t.keys = append(t.keys, key)
	t.touched = append(t.touched, touch{})
	t.values = append(t.values, make([]Value, len(t.plan.values))...)
	t.counts = append(t.counts, make([]uint64, t.plan.buckets)...)
	return len(t.keys) - 1
}

// expire frees the series that got no row since a time.
func (t *table) expire(since time.Time) {
	for at := range t.touched {
		if t.touched[at].used() && t.touched[at].at.Before(since) {
			t.remove(at)
		}
	}
}

func (t *table) remove(at int) {
	if at == t.overflow {
		t.overflow = none
	} else {
		delete(t.byKey, t.keys[at])
	}
	t.keys[at], t.touched[at] = "", touch{}
	clear(t.values[at*len(t.plan.values):][:len(t.plan.values)])
	clear(t.counts[at*t.plan.buckets:][:t.plan.buckets])
	t.free = append(t.free, at)
}

// copyTo copies all series.
func (t *table) copyTo(dst *Snapshot) {
	dst.Instruments, dst.Beyond = t.plan.instruments, t.beyond
	if dst.plan != t.plan {
		dst.plan, dst.Labels = t.plan, nil
		for i := range t.plan.keys {
			dst.Labels = append(dst.Labels, t.plan.keys[i].name)
		}
	}
	dst.keys = append(dst.keys[:0], t.keys...)
	dst.values = append(dst.values[:0], t.values...)
	dst.counts = append(dst.counts[:0], t.counts...)
	dst.touched = append(dst.touched[:0], t.touched...)
	dst.negative = append(dst.negative[:0], t.negative...)
	dst.overflow, dst.begun, dst.intervals = t.overflow, t.begun, t.intervals
}

// addTo adds the value of a row, and reports whether it is negative.
func (v *valueField) addTo(value *Value, counts []uint64, in *Instrument, b *event.Batch, row int) (negative bool) {
	if v.reader == nil {
		value.add(0, 1)
		return false
	}
	if in.Slots {
		v.addSlots(value, counts, b.Rows[row])
		return false
	}
	var number Value
	switch v.form {
	case event.FormInt:
		n, ok := v.reader.Int(b, row)
		if !ok {
			return false
		}
		number, negative = Value{uint64(n >> 63), uint64(n)}, n < 0
	case event.FormFloat:
		f, ok := v.reader.Float(b, row)
		if !ok {
			return false
		}
		number.low, negative = math.Float64bits(f), f < 0
	default:
		n, ok := v.reader.Uint(b, row)
		if !ok {
			return false
		}
		number.low = n
	}
	if in.Kind == Histogram {
		counts[v.bucket+sort.SearchFloat64s(in.Boundaries, number.Float(in))]++ // NaN: the last one
	}
	switch {
	case in.Kind == Gauge:
		*value = number
	case in.Float:
		value.addFloat(math.Float64frombits(number.low))
	default:
		value.add(number.high, number.low)
	}
	return negative
}

// addSlots adds numbers of values by powers of two, each value as the greatest that its slot is for.
func (v *valueField) addSlots(sum *Value, counts []uint64, rec []byte) {
	slot := v.slots
	for i := range v.count {
		if n := slot.Uint(rec); n > 0 {
			counts[v.bucket+i] += n
			sum.addTimes(1<<i, n)
			if v.log2 {
				sum.addTimes(1<<i, n)
			}
		}
		slot.Off += slot.Size
	}
}

// appendKey appends the values of the key fields: numbers as eight bytes, texts behind their lengths.
func (p *plan) appendKey(dst []byte, b *event.Batch, row int) []byte {
	for i := range p.keys {
		k := &p.keys[i]
		switch k.form {
		case event.FormUint, event.FormBool:
			n, ok := k.reader.Uint(b, row)
			dst = appendNumber(dst, n, ok)
		case event.FormInt:
			n, ok := k.reader.Int(b, row)
			dst = appendNumber(dst, uint64(n), ok)
		case event.FormFloat:
			f, ok := k.reader.Float(b, row)
			dst = appendNumber(dst, math.Float64bits(f), ok)
		default:
			dst = appendText(dst, k.form, k.reader.Bytes(b, row))
		}
	}
	return dst
}

func appendNumber(dst []byte, n uint64, ok bool) []byte {
	if !ok {
		return append(dst, 0)
	}
	return binary.LittleEndian.AppendUint64(append(dst, 1), n)
}

// appendText appends a text with the replacement character in place of bytes that are no UTF-8: what makes labels of them fails
// otherwise, for all series. Any process can have a name of such bytes.
func appendText(dst []byte, form event.Form, text []byte) []byte {
	if form == event.FormText && !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// labels returns the texts of a key.
func (p *plan) labels(key string) []string {
	texts := make([]string, len(p.keys))
	var text []byte
	for i := range p.keys {
		text, key = p.keys[i].appendLabel(text[:0], key)
		texts[i] = string(text)
	}
	return texts
}

// appendLabel appends the text of a field's value, which it takes from the beginning of a key.
func (k *keyField) appendLabel(dst []byte, key string) (text []byte, rest string) {
	switch k.form {
	case event.FormUint, event.FormBool, event.FormInt, event.FormFloat:
		if key[0] == 0 {
			return dst, key[1:]
		}
		return k.appendNumber(dst, binary.LittleEndian.Uint64([]byte(key[1:9]))), key[9:]
	}
	size, n := binary.Uvarint([]byte(key[:min(len(key), binary.MaxVarintLen64)]))
	value, rest := key[n:][:size], key[n+int(size):]
	if k.form == event.FormBytes {
		return base64.StdEncoding.AppendEncode(dst, []byte(value)), rest
	}
	return append(dst, value...), rest
}

func (k *keyField) appendNumber(dst []byte, n uint64) []byte {
	switch k.form {
	case event.FormBool:
		return strconv.AppendBool(dst, n != 0)
	case event.FormInt:
		return strconv.AppendInt(dst, int64(n), 10)
	case event.FormFloat:
		return strconv.AppendFloat(dst, math.Float64frombits(n), 'g', -1, 64)
	}
	return strconv.AppendUint(dst, n, 10)
}
