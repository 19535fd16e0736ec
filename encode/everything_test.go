// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/gizmo-ebpf/gizmo/event"
)

// everything is a schema with a field of every shape. Its added fields show the bytes of *text,
// whatever they are.
func everything(single bool, text *[]byte) *event.Schema {
	b := newBuilder("everything", single)
	for _, size := range []uint32{1, 2, 3, 4, 5, 8, 16} {
		suffix := fmt.Sprint(size)
		b.field("u"+suffix, event.Uint, size, 0)
		b.field("i"+suffix, event.Int, size, 0)
		b.field("ints.u"+suffix, event.Uint, size, 3)
		b.field("ints.i"+suffix, event.Int, size, 2)
	}
	b.field("f32", event.Float, 4, 0)
	b.field("f64", event.Float, 8, 0)
	b.field("f128", event.Float, 16, 0)
	b.field("floats", event.Float, 4, 4)
	b.field("bool", event.Bool, 1, 0)
	b.field("bools", event.Bool, 1, 5)
	for _, size := range []uint32{1, 5, 8, 16, 33} {
		b.field(fmt.Sprint("str", size), event.String, size, 0)
	}
	b.field("bytes", event.Bytes, 7, 0)
	b.field("none", event.Bytes, 0, 0)
	b.field("__private", event.Uint, 4, 0)
	b.field("skipped", event.Uint, 4, 0).Ann.SkipJSON = true
	addBitFields(b)
	b.node("node").Text = textOf(text)
	b.field("node.member", event.Uint, 2, 0).Ann.Columns.Hidden = true
	b.field("node.__private.member", event.Uint, 2, 0)
	b.node("empty")
	addRest(b)
	addTexts(b, text)
	addColumns(b, text)
	return &b.s
}

func addBitFields(b *builder) {
	for _, f := range []struct {
		name      string
		kind      event.Kind
		off, size uint8
	}{{"bits.low", event.Uint, 0, 3}, {"bits.signed", event.Int, 3, 5}, {"bits.flag", event.Bool, 8, 1}, {"bits.all", event.Uint, 0, 32}} {
		m := b.field(f.name, f.kind, 4, 0)
		m.BitOff, m.BitSize = f.off, f.size
	}
}

func addRest(b *builder) {
	b.s.Fields = append(b.s.Fields, event.Field{
		Name: "rest", Kind: event.Bytes, Off: b.s.Size, Rest: true, Parent: event.NoParent,
	})
}

// addColumns adds two columns, as two stages would: one with a field of each kind, one with a text.
func addColumns(b *builder, text *[]byte) {
	var fields []event.Field
	for _, kind := range []event.Kind{event.String, event.Uint, event.Int, event.Float, event.Bool, event.Bytes} {
		fields = append(fields, event.Field{Name: "column." + kind.String(), Kind: kind, Parent: event.NoParent, Table: derived{text}})
	}
	b.s.AddColumn(fields...)
	b.s.AddColumn(event.Field{Name: "other", Kind: event.String, Parent: event.NoParent, Table: derived{text}})
}

// derived gives values that follow from a text and the handle.
type derived struct{ text *[]byte }

func (t derived) Bytes(h event.Handle) []byte { return (*t.text)[:len(*t.text)/int(h)] }
func (t derived) Bits(h event.Handle) uint64 {
	return uint64(h) * 0x7ff0_0000_0000_0001 * uint64(len(*t.text))
}

// fill sets the handles of a batch: the first rows have none.
func fill(b *event.Batch) {
	for i, col := range b.Schema.Columns() {
		for row, handles := 0, col.Fill(b); row < len(handles); row++ {
			handles[row] = event.Handle(row * (i + 1))
		}
	}
}

func addTexts(b *builder, text *[]byte) {
	for _, kind := range []event.Kind{event.String, event.Uint, event.Int, event.Float, event.Bool, event.Bytes} {
		b.added("text."+kind.String(), kind, textOf(text))
	}
	b.added("text.array", event.Uint, textOf(text)).Count = 2
	b.added("a.name.that.is.longer.than.what.is.copied.in.one.go.and.goes.on", event.String, textOf(text))
	b.added(`strange "key": \ `+"\x1b\xff\u202e", event.String, textOf(text))
	b.added("yes", event.String, textOf(text))
	b.added("12", event.String, textOf(text))
	b.added("both", event.String, textOf(text)) // a value and then an object
	b.added("both.member", event.String, textOf(text))
	b.added("u4", event.String, textOf(text)) // takes the place of the record's
	b.added("bits", event.String, textOf(text))
	replaced := b.added("replaced", event.String, textOf(text))
	replaced.Ann.Columns.Replace = "u8"
	replaced.Ann.Columns.Hex = true
}

func textOf(text *[]byte) event.TextFunc {
	return func(dst []byte, _ *event.Batch, _ int) []byte { return append(dst, *text...) }
}

// randomBatch returns records of random bytes; much of them is zero or ASCII, as in real ones.
func randomBatch(s *event.Schema, r *rand.Rand, rows int) *event.Batch {
	b := &event.Batch{Schema: s}
	for range rows {
		rec := make([]byte, int(s.Size)+r.IntN(20))
		kind := r.IntN(4)
		for i := range rec {
			switch kind {
			case 0:
				rec[i] = byte(r.Uint32())
			case 1:
				rec[i] = byte(r.UintN(95) + 32)
			case 2:
				rec[i] = hostileBytes[r.IntN(len(hostileBytes))]
			}
		}
		b.Rows = append(b.Rows, rec)
	}
	fill(b)
	return b
}

const hostileBytes = "\x00\x01\x1b\x7f\x80\xc2\x9b\xe2\x80\xae\xff\xfe\xed\xa0 \"\\:#-'\n\t0123a/\xe7\x95\x8c\xf0\x9f\x98\x80\xf3\xa0\x81\x81"

// hostileTexts are texts that try to break out of every format.
var hostileTexts = []string{
	"", " ", "plain", "a b", " lead", "trail ", "\x1b[2J", "\x7f", "\u009b31m", "\xff\xfe", "\xed\xa0\x80", "\u202eexe.txt",
	"\u2028\u2029", "\ufeff", "\ufffe\uffff", "quote\"", "back\\slash", "line\nbreak\r\ttab", "\x00nul\x00",
	"yes", "No", "null", "~", "true", "0", "-0", "007", "1_000", "0x1F", "0o17", "0b1", "1e5", "1.", ".5", ".inf", "-.INF", ".NaN",
	"12:30:45", "2024-07-25", "2024-7-5 1:2:3", "2024-07-25T21:34:07Z", "192.168.0.1", "192.168.0.1:80", "::1", "[::1]:80",
	"-", "- a", "-a", "?", "? a", "?a", ":", ": a", ":a", "a:", "a: b", "a:b", "a #b", "a#b", "#", "---", "--- a", "...", "&a", "*a",
	"!t", "|", ">", "%", "@", "`", "'", "''", "{}", "[]", ",", "=", "<<", "-rw-r--r--", "O_RDONLY|O_CREAT", "/etc/passwd", "界面", "é",
	"e\u0301\u0301", "\U0001F600", "\U000E0001", "a\u200bb", "\u2764\ufe0f", "\u00ad\u034f\u3164\uffa0", "\U000e0041\U000e01ef\U0001fffe", "\u0600\u06dd", "1e999", "123456789012345678901234567890", "-1", "+1", "1e+5", "01", "1.5e", "--1", "NaN",
	"a-name-of-more-than-sixty-four-bytes-that-goes-on-and-on-until-no-user-reads-it-any-more\x1b",
}
