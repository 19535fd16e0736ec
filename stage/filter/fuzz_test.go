// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/stage/filter"
)

// checkError fails unless err has a place within the text.
func checkError(t *testing.T, text string, err error) {
	var at *filter.Error
	if !errors.As(err, &at) {
		t.Fatalf("%q: error %v has no place", text, err)
	}
	lines := strings.Split(text, "\n")
	if at.Line < 1 || at.Line > len(lines) || at.Column < 1 || at.Column > utf8.RuneCountInString(lines[at.Line-1])+1 {
		t.Errorf("%q: line %d, column %d of %v is not in the text", text, at.Line, at.Column, err)
	}
}

func FuzzFilter(f *testing.F) {
	for _, test := range rejecting {
		f.Add(test.text)
	}
	f.Add(`fname==a\,b\\c d\ `)
	f.Add("\xff==\xff,a!=,b>=1")
	s := sample(f)
	b := sampleBatch(s)
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := filter.Parse(text)
		if err != nil {
			checkError(t, text, err)
			return
		}
		holds, err := parsed.Bind(s)
		if err != nil {
			checkError(t, text, err)
			return
		}
		for row := range b.Rows {
			holds(b, row)
		}
	})
}

func FuzzExpr(f *testing.F) {
	for _, test := range expressions {
		f.Add(test.text)
	}
	for _, test := range calculating {
		f.Add(test.text)
	}
	f.Add(`let x = $env["in"]; any(1..10, # == x) ? proc?.pid > 1 : fname[0:2] matches "^a"`)
	f.Add(`proc.comm in ["a", "b"] && !(12.5 < size) || -1 == offset`)
	s := sample(f)
	f.Fuzz(func(t *testing.T, text string) {
		st, err := filter.NewExpr(map[string]string{"": text})
		if err != nil {
			checkError(t, text, err)
			return
		}
		fn, err := st.Bind(s, event.FieldSet{})
		if err != nil {
			checkError(t, text, err)
			return
		}
		if err := fn(sampleBatch(s)); err != nil {
			checkError(t, text, err)
		}
	})
}

// FuzzInteger holds comparisons of integers of all sizes against arithmetic without limits.
func FuzzInteger(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, uint8(4), false, uint8(0), uint8(0), uint8(0), int64(67305985))
	f.Add(bytes.Repeat([]byte{0xff}, 16), uint8(16), true, uint8(0), uint8(0), uint8(3), int64(-1))
	f.Add(bytes.Repeat([]byte{0xfe}, 16), uint8(8), false, uint8(3), uint8(61), uint8(5), int64(5))
	f.Add(bytes.Repeat([]byte{0x80}, 16), uint8(3), true, uint8(2), uint8(9), uint8(2), int64(5))
	ops := []string{"==", "!=", "<", "<=", ">", ">="}
	f.Fuzz(func(t *testing.T, rec []byte, size uint8, signed bool, bitOff, bitSize, op uint8, n int64) {
		if len(rec) < 16 || size == 0 || size > 8 && size != 16 || int(bitOff)+int(bitSize) > int(size)*8 || size == 16 && bitSize > 0 {
			return
		}
		field := event.Field{Name: "x", Kind: event.Uint, Size: uint32(size), BitOff: bitOff, BitSize: bitSize, Parent: event.NoParent}
		if signed {
			field.Kind = event.Int
		}
		s := &event.Schema{Name: "s", Size: 16, Fields: []event.Field{field}}
		b := &event.Batch{Schema: s, Rows: [][]byte{rec}}
		x := reference(rec[:size], signed, bitOff, bitSize)
		for _, value := range []*big.Int{big.NewInt(n), x, new(big.Int).Add(x, big.NewInt(1))} {
			text := fmt.Sprintf("x%s%s", ops[op%6], value)
			parsed, err := filter.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			holds, err := parsed.Bind(s)
			if err != nil {
				continue // out of range
			}
			c := x.Cmp(value)
			want := []bool{c == 0, c != 0, c < 0, c <= 0, c > 0, c >= 0}[op%6]
			if got := holds(b, 0); got != want {
				t.Errorf("%s: got %v for %s", text, got, x)
			}
			if value.IsInt64() {
				testExpr(t, b, strings.ReplaceAll(text, "-9223372036854775808", "(-9223372036854775807-1)"), want)
			}
		}
	})
}

// reference returns the number in a record.
func reference(p []byte, signed bool, bitOff, bitSize uint8) *big.Int {
	x, bits := new(big.Int), uint(len(p))*8
	for i := len(p) - 1; i >= 0; i-- {
		x.Or(x.Lsh(x, 8), big.NewInt(int64(p[i])))
	}
	if bitSize > 0 {
		bits = uint(bitSize)
		x.Rsh(x, uint(bitOff))
		x.And(x, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), bits), big.NewInt(1)))
	}
	if signed && x.Bit(int(bits)-1) == 1 {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), bits))
	}
	return x
}

// testExpr checks the result of an expression for the first row.
func testExpr(t *testing.T, b *event.Batch, text string, want bool) {
	t.Helper()
	st, err := filter.NewExpr(map[string]string{"": text})
	if err != nil {
		t.Fatal(err)
	}
	fn, err := st.Bind(b.Schema, event.FieldSet{})
	if err != nil {
		t.Fatal(err)
	}
	c := event.Batch{Schema: b.Schema, Rows: [][]byte{b.Rows[0]}}
	if err := fn(&c); err != nil {
		t.Fatal(err)
	}
	if got := len(c.Rows) == 1; got != want {
		t.Errorf("%s: got %v", text, got)
	}
}

// FuzzMatch: a regular expression means the same in a filter as elsewhere, however it is compared.
func FuzzMatch(f *testing.F) {
	for _, pattern := range []string{"", "^", "$", "a", "^a", "a$", "^ab$", "(?i)a", "^a|b$", "a.c", "^^a", "(^a)", "(?m)^a$", "\ufffd", "^(?:ab)$", `\Aab\z`, `^a\x00`} {
		f.Add(pattern, []byte("ab\x00cdefg"))
		f.Add(pattern, []byte("xa\nb\xffabc"))
	}
	f.Fuzz(func(t *testing.T, pattern string, data []byte) {
		r, err := regexp.Compile(pattern)
		if err != nil || len(pattern) > 100 {
			return
		}
		s := &event.Schema{Name: "s", Size: 12, Fields: []event.Field{
			{Name: "x", Kind: event.String, Size: 8, Parent: event.NoParent},
			{Name: "y", Kind: event.String, Added: true, Parent: event.NoParent,
				Text: func(dst []byte, b *event.Batch, row int) []byte { return append(dst, event.CString(b.Rows[row])...) }},
		}}
		rec := append(bytes.Clone(data), make([]byte, 12)...)
		b := &event.Batch{Schema: s, Rows: [][]byte{rec}}
		escaped := strings.NewReplacer(`\`, `\\`, `,`, `\,`, " ", `\ `, "\t", "\\\t").Replace(pattern)
		for name, text := range map[string][]byte{"x": event.CString(rec[:8]), "y": event.CString(rec)} {
			for _, op := range []string{"~", "!~"} {
				parsed, err := filter.Parse(name + op + escaped)
				if err != nil {
					t.Fatal(err)
				}
				holds, err := parsed.Bind(s)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := holds(b, 0), r.Match(text) == (op == "~"); got != want {
					t.Errorf("%s: %v for %q, want %v", parsed, got, text, want)
				}
			}
		}
	})
}
