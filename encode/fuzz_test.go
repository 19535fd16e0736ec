// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"bytes"
	"testing"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
)

// records cuts data into rows of the schema: the first is as long as data allows, the others are
// short ones, padded.
func records(s *event.Schema, data []byte) *event.Batch {
	b := &event.Batch{Schema: s}
	size := int(s.Size)
	for len(b.Rows) < 3 && len(data) > 0 {
		n := min(len(data), size)
		if len(b.Rows) == 0 && len(data) < 2*size {
			n = len(data) // with trailing data
		}
		rec := make([]byte, max(n, size))
		copy(rec, data[:n])
		b.Rows = append(b.Rows, rec)
		data = data[n:]
	}
	fill(b)
	return b
}

func addSeeds(f *testing.F) {
	var none []byte
	s := everything(true, &none)
	for i, text := range hostileTexts {
		f.Add(bytes.Repeat([]byte(text), 1+int(s.Size)/max(len(text), 1)), []byte(text), i%2 == 0, i*3)
	}
	f.Add([]byte{}, []byte{}, true, 0)
}

// FuzzNested: whatever a record and the texts hold, json and yaml read back as the same values.
func FuzzNested(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data, text []byte, single bool, _ int) {
		agree(t, records(everything(single, &text), data))
	})
}

// FuzzColumns: whatever a record and the texts hold, each event is one harmless line.
func FuzzColumns(f *testing.F) {
	addSeeds(f)
	format, err := encode.Lookup("columns")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data, text []byte, single bool, style int) {
		s := everything(single, &text)
		for i := range s.Fields {
			s.Fields[i].Ann.Columns = styleOf(style + i)
		}
		b := records(s, data)
		enc := bind(t, format, s, encode.Options{Width: max(style, 0) % 600})
		if err := check("columns", enc.Append(nil, b), single, len(b.Rows)); err != nil {
			t.Fatal(err)
		}
		if err := check("columns", enc.Head(nil), single, 1); err != nil {
			t.Fatal(err)
		}
	})
}

// styleOf makes a style out of a number.
func styleOf(n int) event.ColumnStyle {
	n &= 1<<30 - 1
	precision := n % 5
	style := event.ColumnStyle{
		Width: n % 23, MinWidth: n % 7, MaxWidth: n % 29, Align: event.Align(n % 2), Ellipsis: event.Ellipsis(n % 4),
		Fixed: n%3 == 0, Hex: n%11 == 0,
	}
	if n%5 == 0 {
		style.Precision = &precision
	}
	if n%13 == 0 {
		style.Replace = "str33"
	}
	return style
}
