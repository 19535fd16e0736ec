// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
)

// keys make the sort key of a row: one after the other, each of one or two words.
type keys struct {
	all   []key
	words int
}

// bindKeys looks the fields up in s.
func bindKeys(s *event.Schema, wanted []Key) (*keys, error) {
	ks := new(keys)
	for _, w := range wanted {
		i, err := find(s, w.Field)
		if err != nil {
			return nil, err
		}
		k, err := newKey(s, i, w.Descending)
		if err != nil {
			return nil, err
		}
		ks.all = append(ks.all, k)
		ks.words += k.words()
	}
	if len(ks.all) == 0 {
		return nil, fmt.Errorf("no field to sort by")
	}
	return ks, nil
}

// table holds the keys of a number of rows. The memory is reused.
type table struct {
	words []uint64 // for each row as many as keys has
	texts []byte   // that the words of texts refer to
	items []item   // the rows, in order once they are sorted
}

// item is one row in a table.
type item struct {
	first uint64 // its first word: most comparisons need no more
	row   uint32
}

func (t *table) reset() {
	t.words, t.texts, t.items = t.words[:0], t.texts[:0], t.items[:0]
}

// grow makes room for the keys of n rows.
func (t *table) grow(n, words int) {
	t.words, t.items = slices.Grow(t.words, n*words), slices.Grow(t.items, n)
}

func (t *table) pushPair(first, second uint64) { t.words = append(t.words, first, second) }

// A text's second word says where in the table it is.
const (
	lengthBits = 24
	maxLength  = 1<<lengthBits - 1 // texts that differ only after it count as equal
)

// pushText adds the words of the text that begins at start and ends where texts does.
func (t *table) pushText(start int, flip uint64) {
	text := t.texts[start:]
	t.pushPair(prefix(text)^flip, uint64(start)<<lengthBits|uint64(min(len(text), maxLength)))
}

func (t *table) text(extent uint64) []byte {
	return t.texts[extent>>lengthBits:][:extent&maxLength]
}

// add puts the key of a row of b into t, as row number len(t.items).
func (ks *keys) add(t *table, b *event.Batch, row int) {
	at := len(t.words)
	for i := range ks.all {
		ks.all[i].append(t, b, row)
	}
	t.items = append(t.items, item{t.words[at], uint32(len(t.items))})
}

// sort puts the items into order. No two items compare as equal, so the order is stable.
func (ks *keys) sort(t *table) {
	if ks.words == 1 {
		slices.SortFunc(t.items, compareItems)
		return
	}
	slices.SortFunc(t.items, func(a, b item) int {
		if a.first == b.first {
			if c := ks.compareAll(t, a.row, t, b.row); c != 0 {
				return c
			}
		}
		return compareItems(a, b)
	})
}

// compareItems compares keys of one word, and rows that have the same key.
func compareItems(a, b item) int {
	switch {
	case a.first < b.first:
		return -1
	case a.first > b.first:
		return 1
	}
	return cmp.Compare(a.row, b.row)
}

// compareAll compares the keys of two rows.
func (ks *keys) compareAll(t *table, a uint32, u *table, b uint32) int {
	x, y := t.words[int(a)*ks.words:], u.words[int(b)*ks.words:]
	for i := range ks.all {
		k := &ks.all[i]
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		n := k.words()
		if n == 2 {
			if c := k.compareSecond(t, x[1], u, y[1]); c != 0 {
				return c
			}
		}
		x, y = x[n:], y[n:]
	}
	return 0
}

// compareSecond compares the second words of keys whose first ones are equal.
func (k *key) compareSecond(t *table, x uint64, u *table, y uint64) int {
	if !k.isText() {
		return cmp.Compare(x, y)
	}
	c := bytes.Compare(t.text(x), u.text(y))
	if k.flip != 0 {
		return -c
	}
	return c
}
