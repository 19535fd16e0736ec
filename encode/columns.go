// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"strings"

	"github.com/gizmo-ebpf/gizmo/event"
)

func columnsFormat() Format {
	return Format{
		Name:  "columns",
		Doc:   "A table for people: one line per event, with the visible fields as columns.",
		Lines: true,
		Bind:  bindColumns,
	}
}

var columnWords = nonFinite{"NaN", "+Inf", "-Inf", false}

// column is one column of the table.
type column struct {
	values   []value // the first that is not empty is shown
	header   string
	width    int // text is padded to this many cells
	limit    int // and cut to this many; 0: shown whole
	right    bool
	ellipsis event.Ellipsis
}

// columnsEncoder writes a table.
type columnsEncoder struct {
	cols  []column
	head  []byte
	spill spill
	lengths
	line longLine
}

func bindColumns(s *event.Schema, o Options) (Encoder, error) {
	fields := flatFields(s, o.Fields)
	e := &columnsEncoder{cols: make([]column, len(fields)), spill: o.Spill, line: longLine{spill: o.Spill}}
	spans := make([]span, len(fields))
	for k, i := range fields {
		values, err := columnValues(s, i)
		if err != nil {
			return nil, err
		}
		f := &s.Fields[i]
		style := &f.Ann.Columns
		header, cells := tidy([]byte(headerOf(f)), 0)
		e.cols[k] = column{values: values, header: string(header), right: style.Align == event.AlignRight, ellipsis: style.Ellipsis}
		spans[k] = newSpan(style, &values[0], cells)
	}
	if o.Width > 0 {
		scale(spans, o.Width-(len(spans)-1))
	}
	for k := range spans {
		e.cols[k].width, e.cols[k].limit = spans[k].width, spans[k].limit(o.Width > 0)
	}
	for k := range e.cols {
		for i := range e.cols[k].values {
			e.lengths.add(&e.cols[k].values[i])
		}
	}
	e.head = e.header(o.Width > 0)
	return e, nil
}

func headerOf(f *event.Field) string {
	if h := f.Ann.Columns.Header; h != "" {
		return strings.ToUpper(h)
	}
	return strings.ToUpper(f.Name)
}

// flatFields returns the fields that become columns: the chosen ones, with the members of a struct in place
// of a struct without a text; or, if none were chosen, the visible ones.
func flatFields(s *event.Schema, chosen []int) []int {
	if chosen == nil {
		return flatDefault(s)
	}
	var out []int
	for _, i := range chosen {
		if isColumn(s, i) {
			out = append(out, i)
		} else {
			out = append(out, membersOf(s, s.Fields[i].Name)...)
		}
	}
	return out
}

// columnValues returns the values that the column of field i shows: the value of the field that replaces
// it, if there is one, and its own.
func columnValues(s *event.Schema, i int) ([]value, error) {
	from := []int{i}
	if j, ok := standIn(s, i); ok {
		from = []int{j, i}
		if s.Fields[i].Kind == event.Struct && s.Fields[i].Text == nil {
			from = from[:1]
		}
	}
	var values []value
	for _, j := range from {
		v, err := bindValue(s, j, &columnWords)
		if err != nil {
			return nil, err
		}
		v.hex, v.precision = s.Fields[i].Ann.Columns.Hex, s.Fields[i].Ann.Columns.Precision
		values = append(values, v)
	}
	return values, nil
}

// Head implements Encoder.
func (e *columnsEncoder) Head(dst []byte) []byte { return append(dst, e.head...) }

// header returns the line of names. On a terminal it cuts a name to its column's width, elsewhere
// only where values would be cut, too.
func (e *columnsEncoder) header(scaled bool) []byte {
	var dst []byte
	var cells int
	for i := range e.cols {
		c := &e.cols[i]
		limit := c.limit
		if scaled {
			limit = c.width
		}
		if i > 0 {
			dst = append(dst, ' ')
		}
		start := len(dst)
		dst, cells = tidy(append(dst, c.header...), start)
		dst = c.place(dst, start, cells, limit)
	}
	if len(e.cols) == 0 {
		return nil
	}
	return endLine(dst, 0)
}

// Append implements Encoder.
func (e *columnsEncoder) Append(dst []byte, b *event.Batch) []byte {
	if len(e.cols) == 0 {
		return dst
	}
	for row := range b.Rows {
		if e.spill != nil && e.isLong(b, row) {
			dst = e.appendLong(dst, b, row)
			continue
		}
		line := len(dst)
		for i := range e.cols {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = e.cols[i].append(dst, b, row)
		}
		dst = e.spill.long(endLine(dst, line))
	}
	return dst
}

// append appends the column's cell.
func (c *column) append(dst []byte, b *event.Batch, row int) []byte {
	start := len(dst)
	for i := range c.values {
		v := &c.values[i]
		dst = v.appendFlat(dst, b, row)
		if len(dst) == start {
			continue
		}
		cells := len(dst) - start
		if !v.op.isScalar() {
			dst, cells = tidy(dst, start)
		}
		return c.place(dst, start, cells, c.limit)
	}
	return appendBlanks(dst, c.width)
}

// place cuts or pads dst[start:], which takes cells cells.
func (c *column) place(dst []byte, start, cells, limit int) []byte {
	if limit > 0 && cells > limit {
		dst, cells = shorten(dst, start, cells, limit, c.ellipsis)
	}
	return c.pad(dst, start, cells)
}

// pad pads dst[start:], which takes cells cells.
func (c *column) pad(dst []byte, start, cells int) []byte {
	pad := c.width - cells
	if pad <= 0 {
		return dst
	}
	end := len(dst)
	dst = appendBlanks(dst, pad)
	if c.right {
		copy(dst[start+pad:], dst[start:end])
		copy(dst[start:start+pad], appendBlanks(dst[start:start], pad))
	}
	return dst
}

// endLine ends the line that began at dst[start]. There are no blanks before its end.
func endLine(dst []byte, start int) []byte {
	for len(dst) > start && dst[len(dst)-1] == ' ' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '\n')
}

// appendFlat appends the value in the form that a line of text has.
func (v *value) appendFlat(dst []byte, b *event.Batch, row int) []byte {
	switch v.op {
	case opText, opTextNumber, opTextBool:
		return v.text(dst, b, row)
	case opString, opTrailingText, opColumnText:
		return append(dst, v.reader.Bytes(b, row)...)
	case opColumnNumber:
		return v.appendColumnNumber(dst, b, row)
	case opBytes, opColumnBytes:
		return v.appendHex(dst, b, row)
	case opArray:
		return v.appendArray(dst, b.Rows[row], &jsonBrackets)
	}
	return v.appendScalar(dst, b.Rows[row], v.op, &v.number)
}
