// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import "slices"

// descriptions says which description of arguments is at which index of a map. Equal ones share an index. An index that has no user
// keeps its description until another one needs it: containers with the same program come and go, and a program that still runs
// while its probe is removed finds what it had.
type descriptions struct {
	most uint32
	all  []description // by index
	ids  map[string]uint32
	free []uint32 // indices without users, the one that has been free for longest first
}

type description struct {
	text string
	uses int
}

// newDescriptions returns an empty table for a map with this many entries.
func newDescriptions(most uint32) descriptions {
	return descriptions{most: most, ids: make(map[string]uint32)}
}

// take returns the index of a description, for one more user. isNew: the caller has to put the description there. ok is false if all
// indices have users.
func (d *descriptions) take(text string) (id uint32, isNew, ok bool) {
	id, known := d.ids[text]
	switch {
	case known:
		if d.all[id].uses == 0 {
			d.unfree(id)
		}
	case uint32(len(d.all)) < d.most:
		id = uint32(len(d.all))
		d.all = append(d.all, description{})
	case len(d.free) > 0:
		id = d.free[0]
		d.unfree(id)
		delete(d.ids, d.all[id].text)
	default:
		return 0, false, false
	}
	d.ids[text] = id
	d.all[id].text = text
	d.all[id].uses++
	return id, !known, true
}

func (d *descriptions) unfree(id uint32) {
	i := slices.Index(d.free, id)
	d.free = slices.Delete(d.free, i, i+1)
}

// release says that an index has one user less.
func (d *descriptions) release(id uint32) {
	if d.all[id].uses--; d.all[id].uses == 0 {
		d.free = append(d.free, id)
	}
}

// drop releases an index that its only user has not put the description at.
func (d *descriptions) drop(id uint32) {
	delete(d.ids, d.all[id].text)
	d.all[id].text = ""
	d.release(id)
}
