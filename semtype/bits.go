// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"cmp"
	"math/bits"
	"slices"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/event"
)

// bitNames names the bits of a number. Names of the most bits come first.
type bitNames []event.EnumValue

// newBitNames keeps the values that have bits within the lowest width bits.
func newBitNames(values []event.EnumValue, width uint) bitNames {
	var names bitNames
	for _, v := range values {
		if mask, ok := fit(v.Value, width); ok && mask != 0 {
			names = append(names, event.EnumValue{Name: v.Name, Value: mask})
		}
	}
	slices.SortStableFunc(names, func(a, b event.EnumValue) int {
		return cmp.Compare(bits.OnesCount64(b.Value), bits.OnesCount64(a.Value))
	})
	return names
}

// append appends the names of the bits of v, and the bits without a name in hex. A name is written if all
// its bits are set and at least one of them is not covered yet: so O_SYNC appears without O_DSYNC, which is one
// of its two bits. The set's text begins at start; a separator follows text that is already there.
func (n bitNames) append(dst []byte, start int, v uint64, separator string) []byte {
	rest := v
	for i := range n {
		if rest == 0 {
			return dst
		}
		if mask := n[i].Value; v&mask == mask && rest&mask != 0 {
			dst = appendSeparator(dst, start, separator)
			dst = append(dst, n[i].Name...)
			rest &^= mask
		}
	}
	if rest == 0 {
		return dst
	}
	dst = append(appendSeparator(dst, start, separator), "0x"...)
	return strconv.AppendUint(dst, rest, 16)
}

func appendSeparator(dst []byte, start int, separator string) []byte {
	if len(dst) > start {
		dst = append(dst, separator...)
	}
	return dst
}

// fit returns the lowest width bits of v, and whether a member of that width can have the value at
// all. A negative value may come with its sign extended or not.
func fit(v uint64, width uint) (uint64, bool) {
	shift := 64 - width
	low := v << shift >> shift
	return low, v == low || v == uint64(int64(v<<shift)>>shift)
}
