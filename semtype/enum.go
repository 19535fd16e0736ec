// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/event"
)

// extendEnum is the Extend of every enum member.
func extendEnum(s *event.Schema, i int, env *Env) {
	if s.Fields[i].Enum.IsSet() {
		shownAs(enumSetText)(s, i, env)
		return
	}
	shownAs(enumText)(s, i, env)
}

// enumSetText names the bits of a set.
func enumSetText(f event.Field, env *Env) event.TextFunc {
	names := shared(&env.sets, &f, func(e *event.Enum, width uint) bitNames { return newBitNames(e.Values, width) })
	none := "" // as for an errno of 0
	if i := slices.IndexFunc(f.Enum.Values, func(v event.EnumValue) bool { return v.Value == 0 }); i >= 0 {
		none = f.Enum.Values[i].Name
	}
	separator := cmp.Or(f.Ann.Separator, "|")
	return func(dst []byte, b *event.Batch, row int) []byte {
		v := f.Uint(b.Rows[row])
		if v == 0 {
			return append(dst, none...)
		}
		return names.append(dst, len(dst), v, separator)
	}
}

// enumText returns the text of an enum that is one of several values.
func enumText(f event.Field, env *Env) event.TextFunc {
	names := shared(&env.enums, &f, newEnumNames)
	signed := f.Enum.Signed
	return func(dst []byte, b *event.Batch, row int) []byte {
		if signed {
			v := f.Int(b.Rows[row])
			if name := names.find(uint64(v)); name != "" {
				return append(dst, name...)
			}
			return strconv.AppendInt(dst, v, 10)
		}
		v := f.Uint(b.Rows[row])
		if name := names.find(v); name != "" {
			return append(dst, name...)
		}
		return strconv.AppendUint(dst, v, 10)
	}
}

// enumKey identifies the names of an enum's values.
type enumKey struct {
	enum  *event.Enum
	width uint
}

// shared returns the names for the values of f. Fields of the same enum share them; known has those that were made before.
func shared[T any](known *map[enumKey]T, f *event.Field, names func(*event.Enum, uint) T) T {
	key := enumKey{f.Enum, width(f)}
	if _, ok := (*known)[key]; !ok {
		if *known == nil {
			*known = make(map[enumKey]T)
		}
		(*known)[key] = names(key.enum, key.width)
	}
	return (*known)[key]
}

// width returns the number of bits that a field's value has.
func width(f *event.Field) uint {
	if f.BitSize > 0 {
		return uint(f.BitSize)
	}
	return uint(f.Size) * 8
}

// enumNames finds the name of a value by its distance from the least value: in an array if the
// values are close together, else by binary search.
type enumNames struct {
	least  uint64
	dense  []string
	sparse []event.EnumValue // in ascending order; Value is the distance
}

// denseSlack is how many places of the array may be empty for each that is taken. An array is
// quicker, and four strings for each name are little to pay for it.
const denseSlack = 4

func newEnumNames(e *event.Enum, width uint) *enumNames {
	values := readings(e, width)
	n := &enumNames{sparse: values}
	if len(values) == 0 {
		return n
	}
	n.least = values[0].Value
	for i := range values {
		values[i].Value -= n.least
	}
	span := values[len(values)-1].Value
	if span/denseSlack >= uint64(len(values)) {
		return n
	}
	n.dense, n.sparse = make([]string, span+1), nil
	for _, v := range values {
		n.dense[v.Value] = v.Name
	}
	return n
}

// readings returns the enumerators with their values as a member of the given width reads them, in
// ascending order. Of several with the same value only the first remains.
func readings(e *event.Enum, width uint) []event.EnumValue {
	order := func(a, b event.EnumValue) int {
		if e.Signed {
			return cmp.Compare(int64(a.Value), int64(b.Value))
		}
		return cmp.Compare(a.Value, b.Value)
	}
	var values []event.EnumValue
	for _, v := range e.Values {
		low, ok := fit(v.Value, width)
		if !ok {
			continue
		}
		if shift := 64 - width; e.Signed {
			low = uint64(int64(low<<shift) >> shift)
		}
		values = append(values, event.EnumValue{Name: v.Name, Value: low})
	}
	slices.SortStableFunc(values, order)
	return slices.CompactFunc(values, func(a, b event.EnumValue) bool { return a.Value == b.Value })
}

// find returns the name of v, or "".
func (n *enumNames) find(v uint64) string {
	d := v - n.least
	if d < uint64(len(n.dense)) {
		return n.dense[d]
	}
	lo, hi := 0, len(n.sparse)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if n.sparse[mid].Value < d {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(n.sparse) && n.sparse[lo].Value == d {
		return n.sparse[lo].Name
	}
	return ""
}
