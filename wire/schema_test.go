// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"math"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

func TestValidateSchema(t *testing.T) {
	t.Parallel()
	base := func() *event.Schema {
		return &event.Schema{Name: "s", Single: true, Size: 32, Fields: []event.Field{
			{Name: "top", Kind: event.Struct, Size: 16, Parent: event.NoParent},
			{Name: "top.f", Kind: event.Uint, Off: 8, Size: 8, Parent: 0},
		}}
	}
	field := func(change func(f *event.Field)) func(*event.Schema) {
		return func(s *event.Schema) { change(&s.Fields[1]) }
	}
	rest := func(lenOff, lenSize uint32) func(*event.Schema) {
		return field(func(f *event.Field) {
			*f = event.Field{Name: "rest", Kind: event.Bytes, Rest: true, Off: 32, LenOff: lenOff, LenSize: lenSize, Parent: event.NoParent}
		})
	}
	for _, c := range []struct {
		name   string
		change func(s *event.Schema)
		want   string // "" for a good schema
	}{
		{"as it is", func(s *event.Schema) {}, ""},
		{"no fields", func(s *event.Schema) { s.Fields, s.Size = nil, 0 }, ""},
		{"no name", func(s *event.Schema) { s.Name = "" }, "no name"},
		{"too large", func(s *event.Schema) { s.Size = maxRow + 1 }, "rows of 16777217 bytes"},
		{"too many fields", func(s *event.Schema) { s.Fields = make([]event.Field, maxFields+1) }, "4097 fields"},

		{"field without a name", field(func(f *event.Field) { f.Name = "" }), "no name"},
		{"terminal codes", field(func(f *event.Field) { f.Name = "a\x1b[2J" }), "unprintable"},
		{"not UTF-8", field(func(f *event.Field) { f.Name = "a\xff" }), "not UTF-8"},
		{"long name", field(func(f *event.Field) { f.Name = strings.Repeat("a", 1025) }), "a name of 1025 bytes"},
		{"type with a space", field(func(f *event.Field) { f.Types = []string{"long unsigned int"} }), ""},
		{"type with a line", field(func(f *event.Field) { f.Types = []string{"a\nb"} }), "type: the name"},

		{"up to the end", field(func(f *event.Field) { f.Off = 24 }), ""},
		{"beyond the end", field(func(f *event.Field) { f.Off = 25 }), "8 bytes at byte 25 of records of 32"},
		{"overflow", field(func(f *event.Field) { f.Off = math.MaxUint32 - 3 }), "of records of 32"},
		{"trailing data", field(func(f *event.Field) { f.Kind, f.Rest, f.Off, f.Size = event.Bytes, true, 32, 0 }), ""},
		{"trailing text", field(func(f *event.Field) { f.Kind, f.Rest, f.Off, f.Size = event.String, true, 32, 0 }), ""},
		{"trailing data within", field(func(f *event.Field) { f.Kind, f.Rest, f.Off, f.Size = event.Bytes, true, 31, 0 }), "trailing data (bytes) at byte 31"},
		{"trailing data with a size", field(func(f *event.Field) { f.Kind, f.Rest, f.Off = event.Bytes, true, 32 }), "trailing data"},
		{"trailing number", field(func(f *event.Field) { f.Rest, f.Off, f.Size = true, 32, 0 }), "trailing data (uint)"},
		{"trailing data with a length", rest(28, 4), ""},
		{"its length outside", rest(28, 8), "its length has 8 bytes at byte 28"},
		{"its length overflows", rest(math.MaxUint32, 1), "its length has 1 bytes"},
		{"its length of 3 bytes", rest(0, 3), "its length has 3 bytes"},
		{"length of a number", field(func(f *event.Field) { f.LenSize = 1 }), "not the trailing data"},

		{"its own parent", field(func(f *event.Field) { f.Parent = 1 }), "its parent 1"},
		{"parent outside", field(func(f *event.Field) { f.Parent = -2 }), "its parent -2"},
		{"parent is no struct", func(s *event.Schema) { s.Fields[0].Kind = event.Bytes }, "its parent 0 is not a struct"},

		{"kind", field(func(f *event.Field) { f.Kind = event.Struct + 1 }), "kind 7 is unknown"},
		{"128 bits", field(func(f *event.Field) { f.Size = 16 }), ""},
		{"24 bits", field(func(f *event.Field) { f.Size = 3 }), "uint of 3 bytes"},
		{"no bits", field(func(f *event.Field) { f.Size = 0 }), "uint of 0 bytes"},
		{"signed", field(func(f *event.Field) { f.Kind, f.Size = event.Int, 5 }), "int of 5 bytes"},
		{"float", field(func(f *event.Field) { f.Kind, f.Size = event.Float, 2 }), "float of 2 bytes"},
		{"bool", field(func(f *event.Field) { f.Kind, f.Size = event.Bool, 4 }), "bool of 4 bytes"},
		{"string of any size", field(func(f *event.Field) { f.Kind, f.Size = event.String, 7 }), ""},
		{"empty string", field(func(f *event.Field) { f.Kind, f.Size = event.String, 0 }), ""},
		{"array", field(func(f *event.Field) { f.Count = 4 }), ""},
		{"uneven array", field(func(f *event.Field) { f.Count = 3 }), "3 elements in 8 bytes"},
		{"array of nothing", field(func(f *event.Field) { f.Count, f.Size = 3, 0 }), "uint of 0 bytes"},
		{"array of too much", field(func(f *event.Field) { f.Count = math.MaxUint32 }), "4294967295 elements"},

		{"bits", field(func(f *event.Field) { f.BitOff, f.BitSize = 60, 4 }), ""},
		{"bits of a bool", field(func(f *event.Field) { f.Kind, f.Size, f.BitOff, f.BitSize = event.Bool, 1, 7, 1 }), ""},
		{"bits outside", field(func(f *event.Field) { f.BitOff, f.BitSize = 60, 5 }), "5 bits at bit 60 of 8 bytes"},
		{"no bits at an offset", field(func(f *event.Field) { f.BitOff = 3 }), "0 bits at bit 3"},
		{"too many bits", field(func(f *event.Field) { f.Size, f.BitSize = 16, 65 }), "65 bits"},
		{"bits of nothing", field(func(f *event.Field) { f.Size, f.BitSize = 0, 1 }), "1 bits at bit 0 of 0 bytes"},
		{"bits of an array", field(func(f *event.Field) { f.Count, f.BitSize = 2, 3 }), "3 bits"},
		{"bits of a float", field(func(f *event.Field) { f.Kind, f.BitSize = event.Float, 3 }), "float as a bit field"},

		{"enum", field(func(f *event.Field) { f.Enum = &event.Enum{Values: []event.EnumValue{{Name: "A"}}} }), ""},
		{"enum of bytes", field(func(f *event.Field) { f.Kind, f.Enum = event.Bytes, &event.Enum{} }), "bytes of 8 bytes as an enum"},
		{"enum of 128 bits", field(func(f *event.Field) { f.Size, f.Enum = 16, &event.Enum{} }), "uint of 16 bytes as an enum"},
		{"enum name", field(func(f *event.Field) { f.Enum = &event.Enum{Name: "\a"} }), "enum: the name"},
		{"enumerator", field(func(f *event.Field) { f.Enum = &event.Enum{Name: "e", Values: []event.EnumValue{{}}} }), "enum e: value 0: it has no name"},
	} {
		s := base()
		c.change(s)
		err := validateSchema(s)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// Every field that passes can be read from the shortest row.
func FuzzValidateSchema(f *testing.F) {
	f.Add(uint32(8), uint8(1), uint32(0), uint32(8), uint32(0), uint8(0), uint8(0), false, uint32(0), uint32(0))
	f.Add(uint32(8), uint8(2), uint32(4), uint32(4), uint32(2), uint8(0), uint8(0), false, uint32(0), uint32(0))
	f.Add(uint32(8), uint8(4), uint32(7), uint32(1), uint32(0), uint8(3), uint8(5), false, uint32(0), uint32(0))
	f.Add(uint32(8), uint8(0), uint32(8), uint32(0), uint32(0), uint8(0), uint8(0), true, uint32(4), uint32(4))
	f.Fuzz(func(t *testing.T, size uint32, kind uint8, off, fieldSize, count uint32, bitOff, bitSize uint8, rest bool, lenOff, lenSize uint32) {
		field := event.Field{Name: "f", Kind: event.Kind(kind), Off: off, Size: fieldSize, Count: count,
			BitOff: bitOff, BitSize: bitSize, Rest: rest, LenOff: lenOff, LenSize: lenSize, Parent: event.NoParent}
		s := &event.Schema{Name: "s", Size: size, Fields: []event.Field{field}}
		if validateSchema(s) != nil {
			return
		}
		row := make([]byte, size)
		for i := range max(count, 1) {
			at := off + i*field.ElemSize()
			_ = row[at : at+field.ElemSize()]
			if i == 1000 {
				break
			}
		}
		if rest {
			field.Trailing(row)
		}
		if kind == uint8(event.Uint) || kind == uint8(event.Int) || kind == uint8(event.Bool) {
			field.Uint(row)
			field.Int(row)
		}
	})
}

// These numbers are part of the format: recordings out there have them.
func TestNumbersOfTheFormat(t *testing.T) {
	t.Parallel()
	kinds := map[event.Kind]string{0: "bytes", 1: "uint", 2: "int", 3: "float", 4: "bool", 5: "string", 6: "struct"}
	for kind, name := range kinds {
		if kind.String() != name {
			t.Errorf("kind %d is %s, want %s", kind, kind, name)
		}
	}
	causes := map[event.Cause]event.Cause{0: event.BufferFull, 1: event.Malformed, 2: event.OutputFailed, 3: event.Damaged, 4: event.OutputSlow}
	for want, cause := range causes {
		if cause != want {
			t.Errorf("cause %q is %d, want %d", cause, cause, want)
		}
	}
}

func TestUvarintLen(t *testing.T) {
	t.Parallel()
	for _, v := range []uint64{0, 1, 127, 128, 1<<14 - 1, 1 << 14, 1<<63 - 1, 1 << 63, math.MaxUint64} {
		want := 1
		for x := v; x >= 0x80; x >>= 7 {
			want++
		}
		if got := uvarintLen(v); got != want {
			t.Errorf("%d takes %d bytes, want %d", v, got, want)
		}
	}
}

func TestStoredLen(t *testing.T) {
	t.Parallel()
	for size := range 150 {
		for nonzero := range size + 1 {
			row := make([]byte, size)
			if nonzero > 0 {
				row[nonzero-1] = 1
			}
			if got := storedLen(row, size); got != nonzero {
				t.Fatalf("%d of %d bytes: stored %d", nonzero, size, got)
			}
			if got := storedLen(row, size-1); size > 0 && got != size {
				t.Fatalf("a longer row: stored %d of %d", got, size)
			}
		}
	}
}

// A batch within the limits fits into a frame.
func TestLimitsFit(t *testing.T) {
	t.Parallel()
	const lens, losses, handles = maxBatchRows * 4, maxLosses * (3 + 1 + 10), maxHandles * 5
	if maxBatchData+lens+losses+handles+100 > maxFrame {
		t.Error("the largest batch does not fit the largest frame")
	}
	if maxColumns*maxEntry > maxValues {
		t.Error("the values of a row do not fit between two restarts")
	}
	if maxRow > maxBatchData {
		t.Error("the longest row does not fit a batch")
	}
}
