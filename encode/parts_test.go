// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"math/rand/v2"
	"testing"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
)

// An array that comes in parts is the same text as one that comes whole, wherever it is cut, parts without rows included.
func TestArraysInParts(t *testing.T) {
	t.Parallel()
	text := []byte("text")
	s := everything(false, &text)
	for _, f := range encode.Formats() {
		r := rand.New(rand.NewPCG(1, 2))
		whole, parted := bind(t, f, s, encode.Options{}), bind(t, f, s, encode.Options{})
		for range 50 {
			b := randomBatch(s, r, r.IntN(5))
			want := string(whole.Append(nil, b))
			var got []byte
			var part event.Batch
			for from, last := 0, false; !last; {
				to := min(len(b.Rows), from+r.IntN(3))
				part.Part(b, from, to)
				if last = to == len(b.Rows) && r.IntN(2) == 0; !last {
					part.Continues = true
				}
				got = parted.Append(got, &part)
				from = to
			}
			if string(got) != want {
				t.Fatalf("%s, %d rows: got\n%s\nwant\n%s", f.Name, len(b.Rows), got, want)
			}
		}
	}
}
