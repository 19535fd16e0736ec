// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Text that comes in pieces is cut as that which comes as a whole.
func TestCutPieces(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	letters := []rune{'a', ' ', '漢', '\u0301', 'é'}
	for range 100_000 {
		var text []byte
		for range r.IntN(12) {
			text = utf8.AppendRune(text, letters[r.IntN(len(letters))])
		}
		text, cells := tidy(text, 0)
		limit, where := 1+r.IntN(10), event.Ellipsis(r.IntN(4))
		if cells <= limit {
			continue
		}
		want, wantShown := shorten(bytes.Clone(text), 0, cells, limit, where)
		cut := newCutter(cells, limit, where)
		var got []byte
		for _, c := range string(text) {
			got = cut.append(got, []byte(string(c)))
		}
		if string(got) != string(want) || cut.shown != wantShown {
			t.Fatalf("%q cut to %d cells (%d): %q of %d cells, want %q of %d", text, limit, where, got, cut.shown, want, wantShown)
		}
	}
}

// Of hex digits, what YAML takes for a number is known without making their text.
func TestHexNumbers(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	numbers := 0
	for range 200_000 {
		p := make([]byte, 1+r.IntN(6))
		for i := range p {
			if p[i] = byte(r.UintN(10)<<4 | r.UintN(10)); r.IntN(4) == 0 {
				p[i] = byte(r.Uint32())
			}
		}
		if r.IntN(20) == 0 {
			p[0] = 0x0b
		}
		text := hex.AppendEncode(nil, p)
		if got, want := isHexNumber(p), !isPlainYAML(text); got != want {
			t.Fatalf("%s: a number %v, want %v", text, got, want)
		} else if got {
			numbers++
		}
	}
	if numbers < 1000 {
		t.Errorf("only %d numbers", numbers)
	}
}
