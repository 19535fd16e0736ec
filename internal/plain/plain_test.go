// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package plain

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"plain text: \\ 'quotes' \"and\" ~", "plain text: \\ 'quotes' \"and\" ~"},
		{"größer, Ελλάδα, 日本語, עברית, e\u0301, 😀", "größer, Ελλάδα, 日本語, עברית, e\u0301, 😀"},
		{"\x1b[31mred\x1b[m", `\x1b[31mred\x1b[m`},
		{"a\x00b\x07c\x7fd", `a\x00b\x07c\x7fd`},
		{"two\nlines\tand\rmore", `two\nlines\tand\rmore`},
		{"\u009b31m", `\u009b31m`}, // a control sequence in one character
		{"\u202egpj.exe", `\u202egpj.exe`},
		{"\u2066a\u2069\u200e\u200f\u061c", `\u2066a\u2069\u200e\u200f\u061c`},
		{"a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg", `a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg`},
		{"\U000e0041\U000e0001\U000e007f", `\U000e0041\U000e0001\U000e007f`},
		{"\ufe0f\U000e0100", `\ufe0f\U000e0100`},
		{"a\u00a0b\u3000c\u2800d\u3164e", `a\u00a0b\u3000c\u2800d\u3164e`},
		{"\u2028\u2029", `\u2028\u2029`},
		{"\ue000\U0010ffff\ufffe", `\ue000\U0010ffff\ufffe`}, // private, and never characters
		{"\xff\xc3", `\xff\xc3`},
		{"\xed\xa0\x80", `\xed\xa0\x80`}, // half of a surrogate pair
		{"\xc0\xaf", `\xc0\xaf`},         // a slash in two bytes
		{"\ufffd", "\ufffd"},
	} {
		if got := Text(c.in); got != c.want {
			t.Errorf("%+q: got %s, want %s", c.in, got, c.want)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	if got, want := Lines("a\tb\n\x1b\r\nc\u202e"), "a\tb\n\\x1b\\r\nc\\u202e"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	if Error(nil) != nil {
		t.Error("an error from none")
	}
	err := Error(&fs.PathError{Op: "open", Path: "a\x1b]0;x\x07", Err: fs.ErrNotExist})
	if got, want := err.Error(), `open a\x1b]0;x\x07: file does not exist`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
}

// However the text is cut into pieces, the same comes out, and nothing waits after a whole line.
func TestWriterInPieces(t *testing.T) {
	t.Parallel()
	const text = "größer 日本\u202e 😀\x1b\xff\n\xe2\x82\n\U000e0041\ttab\n"
	for size := 1; size <= len(text); size++ {
		var out bytes.Buffer
		w := Writer(&out)
		for rest := text; rest != ""; rest = rest[min(size, len(rest)):] {
			piece := rest[:min(size, len(rest))]
			if n, err := io.WriteString(w, piece); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
		}
		if want := Lines(text); out.String() != want {
			t.Errorf("pieces of %d: got %q, want %q", size, out.String(), want)
		}
	}
}

func TestWriterCloses(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := Writer(&out)
	if _, err := io.WriteString(w, "a\xe2\x82"); err != nil || out.String() != "a" {
		t.Fatalf("got %q, %v", out.String(), err)
	}
	if err := w.Close(); err != nil || out.String() != `a\xe2\x82` {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriterPassesErrorsOn(t *testing.T) {
	t.Parallel()
	if n, err := io.WriteString(Writer(brokenWriter{}), "x"); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %d, %v", n, err)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x1b[31m\u202e\u200b\U000e0041\xff\n", 3)
	f.Add("größer\xf0\x9f", 1)
	f.Fuzz(func(t *testing.T, s string, size int) {
		got := Text(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q: not UTF-8: %q", s, got)
		}
		for _, r := range got {
			if !unicode.IsGraphic(r) || unicode.IsSpace(r) && r != ' ' {
				t.Fatalf("%q: %q shows %U", s, got, r)
			}
		}
		if again := Text(got); again != got {
			t.Fatalf("%q: once %q, twice %q", s, got, again)
		}
		if utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0 && got != s {
			t.Fatalf("%q was changed to %q", s, got)
		}
		var out bytes.Buffer
		w := Writer(&out)
		for rest := s; rest != ""; {
			n := min(max(size, 1), len(rest))
			if _, err := io.WriteString(w, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if want := Lines(s); out.String() != want {
			t.Fatalf("%q in pieces of %d: %q, want %q", s, size, out.String(), want)
		}
	})
}
