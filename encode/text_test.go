// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// texts returns texts of all lengths up to 40, most of them plain except for a byte or two.
func texts() [][]byte {
	r := rand.New(rand.NewPCG(2, 2))
	var out [][]byte
	for n := range 20000 {
		p := make([]byte, n%41)
		for i := range p {
			p[i] = byte(' ' + r.UintN(95))
		}
		for range r.IntN(3) {
			if len(p) > 0 {
				p[r.IntN(len(p))] = byte(r.UintN(256))
			}
		}
		out = append(out, p)
	}
	return out
}

func TestScansStopAtTheFirstByte(t *testing.T) {
	t.Parallel()
	for _, p := range texts() {
		notPlain := func(c byte) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }
		want := slices.IndexFunc(p, notPlain)
		if want < 0 {
			want = len(p)
		}
		padded := append(slices.Clone(p), "plain and long"...)
		if got := plainEnd(padded, 0, len(p)); got != want {
			t.Fatalf("plainEnd(%q) = %d, want %d", p, got, want)
		}
		if got := plainPrefix(p); got != want {
			t.Fatalf("plainPrefix(%q) = %d, want %d", p, got, want)
		}
		buf := make([]byte, 60)
		n, all := putPlain(buf, 3, p)
		if wantAll := want == len(p) || p[want] == 0; n != want || all != wantAll || !bytes.Equal(buf[3:3+n], p[:n]) {
			t.Fatalf("putPlain(%q) = %d, %v: %q", p, n, all, buf[3:3+n])
		}
		printable := slices.IndexFunc(p, func(c byte) bool { return c < ' ' || c > '~' })
		if printable < 0 {
			printable = len(p)
		}
		for _, room := range []int{0, 3, 8, 20} {
			dst := append(make([]byte, 0, len(p)+room), p...)
			if got := printableEnd(&dst, 0); got != printable || !bytes.Equal(dst, p) {
				t.Fatalf("printableEnd(%q) = %d, want %d", p, got, printable)
			}
		}
	}
}

func TestEscapedTextReadsBack(t *testing.T) {
	t.Parallel()
	for _, p := range append(texts(), everyRune()...) {
		escaped := append(escapeFrom(append([]byte(`""`), p...), 2), '"')
		var got string
		if err := json.Unmarshal(escaped[1:], &got); err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		if want := string([]rune(string(p))); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// everyRune returns all characters, 64 at a time.
func everyRune() [][]byte {
	var out [][]byte
	for r := rune(0); r <= unicode.MaxRune; r += 64 {
		var p []byte
		for i := range rune(64) {
			p = utf8.AppendRune(p, r+i)
		}
		out = append(out, p)
	}
	return out
}

// isInvisible defines the characters of isUnsafe by Unicode's properties.
func isInvisible(r rune) bool {
	if unicode.Is(unicode.Prepended_Concatenation_Mark, r) {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point,
		unicode.Variation_Selector, unicode.Noncharacter_Code_Point)
}

func TestUnsafeCharacters(t *testing.T) {
	t.Parallel()
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if want := isInvisible(r); isUnsafe(r) != want {
			t.Errorf("%U: got %v, want %v", r, !want, want)
		}
	}
}

// Readers of JSON and YAML get the escaped characters, and the output is ASCII.
func TestEscapes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, json, yaml, columns string }{
		{"\u009b", `\u009b`, `\u009b`, `\u009b`},
		{"a\u00adb", `a\u00adb`, `a\u00adb`, `a\u00adb`},
		{"\u200b\u2060\u3164", `\u200b\u2060\u3164`, `\u200b\u2060\u3164`, `\u200b\u2060\u3164`},
		{"\ufe0f", `\ufe0f`, `\ufe0f`, `\ufe0f`},
		{"\U000e0041", `\udb40\udc41`, `\U000e0041`, `\U000e0041`},
		{"\U000e01ef", `\udb40\uddef`, `\U000e01ef`, `\U000e01ef`},
		{"\U0010ffff", `\udbff\udfff`, `\U0010ffff`, `\U0010ffff`},
		{"\U0001f600\u06dd", "\U0001f600\u06dd", "\U0001f600\u06dd", "\U0001f600\u06dd"},
		{"\x01\x1f\x7f\n\r\t\\", `\u0001\u001f\u007f\n\r\t\\`, `\u0001\u001f\u007f\n\r\t\\`, `\x01\x1f\x7f\n\r\t\`},
	} {
		if got := string(appendJSON(nil, []byte(c.in))); got != c.json {
			t.Errorf("json: %+q: got %s", c.in, got)
		}
		if got := string(appendYAML(nil, []byte(c.in))); got != c.yaml {
			t.Errorf("yaml: %+q: got %s", c.in, got)
		}
		if got, _ := appendTidy(nil, []byte(c.in)); string(got) != c.columns {
			t.Errorf("columns: %+q: got %s", c.in, got)
		}
	}
}

func TestTidy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want string
		cells    int
	}{
		{"", "", 0},
		{"plain text, longer than a word", "plain text, longer than a word", 30},
		{"\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`, 18},
		{"a\tb\nc\x7f", `a\tb\nc\x7f`, 11},
		{"\u009b1m", `\u009b1m`, 8},
		{"\xff\xc2", "\uFFFD\uFFFD", 2},
		{"\u202egpj.exe", `\u202egpj.exe`, 13},
		{"界面", "界面", 4},
		{"e\u0301", "e\u0301", 1},
		{"\U0001F600", "\U0001F600", 2},
		{"ｆｕｌｌ", "ｆｕｌｌ", 8},
		{"é", "é", 1},
		{"a\u200db", `a\u200db`, 8},
		{"\u2764\ufe0f", "\u2764" + `\ufe0f`, 7},
		{"\u0600\u06dd", "\u0600\u06dd", 2},
		{"\U000e0041", `\U000e0041`, 10},
		{`back\slash`, `back\slash`, 10},
	} {
		got, cells := tidy([]byte("before "+c.in), len("before "))
		if string(got) != "before "+c.want || cells != c.cells {
			t.Errorf("%q: got %q, %d cells; want %q, %d cells", c.in, got, cells, c.want, c.cells)
		}
	}
}

func TestRuneCells(t *testing.T) {
	t.Parallel()
	for r := rune(0x300); r <= unicode.MaxRune; r++ {
		kind := width.LookupRune(r).Kind()
		wide := kind == width.EastAsianWide || kind == width.EastAsianFullwidth
		switch got := runeCells(r); {
		case got == 0 && !unicode.In(r, unicode.M) && (r <= 0x1160 || r > 0x11ff),
			got == 1 && wide, got == 2 && !wide:
			t.Errorf("%U: %d cells", r, got)
		}
	}
}
