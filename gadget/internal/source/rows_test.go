// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"testing"
)

func TestRowsReuseSlots(t *testing.T) {
	t.Parallel()
	r := newRows(8)
	for _, c := range []struct{ head, tail, want string }{
		{"abcdefg", "", "abcdefg\x00"},
		{"ab", "", "ab\x00\x00\x00\x00\x00\x00"},
		{"", "", "\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"abc", "defgh", "abcdefgh"},
		{"x", "y", "xy\x00\x00\x00\x00\x00\x00"},
		{"abcdefgh", "", "abcdefgh"},
		{"abcd", "efghijkl", "abcdefghijkl"},
		{"z", "", "z\x00\x00\x00\x00\x00\x00\x00"},
		{"abcdefghi", "", "abcdefghi"},
	} {
		if got := r.row(3, []byte(c.head), []byte(c.tail)); string(got) != c.want {
			t.Errorf("%q + %q: got %q, want %q", c.head, c.tail, got, c.want)
		}
	}
	before := bytes.Clone(r.row(3, []byte("3"), nil))
	third := r.row(3, []byte("3"), nil)
	r.row(2, []byte("2222222"), nil)
	r.row(4, []byte("4444444"), nil)
	if !bytes.Equal(third, before) || cap(third) != 8 {
		t.Error("rows share memory")
	}
}

func TestRowsAreBounded(t *testing.T) {
	t.Parallel()
	for size, want := range map[uint32]int{1: MaxBatchRows, 256: MaxBatchRows, 512: 256, 4096: 32, 8192: 16, 1 << 20: 16} {
		if r := newRows(size); r.max() != want {
			t.Errorf("struct of %d bytes: %d rows, want %d", size, r.max(), want)
		}
	}
}
