// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

// Rows of the cache: 4096, which take 1 MB.
const (
	cacheWays = 4
	cacheSets = 1 << 10
)

// cache keeps the rows of addresses that were met. A new row replaces the others of its set in turn.
type cache struct {
	keys [cacheSets][cacheWays]cacheKey
	rows [cacheSets][cacheWays]row
	next [cacheSets]uint8
}

type cacheKey struct {
	table *Table
	place uint64 // the address, and whether it is exact
}

// get returns the row of a place, or the row to fill for it.
func (c *cache) get(t *Table, place uint64) (r *row, found bool) {
	const golden = 0x9e3779b97f4a7c15
	set := (place ^ t.seed) * golden >> 54
	keys := &c.keys[set]
	key := cacheKey{t, place}
	for way := range keys {
		if keys[way] == key {
			return &c.rows[set][way], true
		}
	}
	way := c.next[set] % cacheWays
	c.next[set]++
	keys[way] = key
	return &c.rows[set][way], false
}
