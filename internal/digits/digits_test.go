// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package digits

import (
	"fmt"
	"testing"
)

// TestEight tries all values of each half: the lanes do not depend on each other.
func TestEight(t *testing.T) {
	t.Parallel()
	for half := range uint32(10000) {
		for _, other := range []uint32{0, 1, 4999, 5000, 9999} {
			for _, v := range []uint32{half*10000 + other, other*10000 + half} {
				var got uint32
				for d, i := Eight(v), 0; i < 8; d, i = d>>8, i+1 {
					got = got*10 + uint32(d&0xff)
				}
				if got != v {
					t.Fatalf("got %d, want %d", got, v)
				}
			}
		}
	}
}

func TestPutNine(t *testing.T) {
	t.Parallel()
	for _, v := range []uint32{0, 1, 9, 10, 99_999_999, 100_000_000, 123_456_789, 999_999_999} {
		p := []byte("xxxxxxxxxx")
		PutNine(p, v)
		if want := fmt.Sprintf("%09dx", v); string(p) != want {
			t.Errorf("got %q, want %q", p, want)
		}
	}
}
