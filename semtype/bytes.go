// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"strconv"

	"github.com/gizmo-ebpf/gizmo/event"
)

func bytesType() Type {
	return Type{
		CName: "gadget_bytes",
		On:    "__u64",
		Doc:   "A number of bytes.",
		Adds: "The number in the largest unit that gives at least 1: `B`, `kB`, `MB`, `GB`, `TB`, " +
			"`PB`, `EB`, each 1000 of the one before. Below 10 it has one digit after the decimal point, " +
			"otherwise none.",
		Template:      "bytes",
		AddedTemplate: "bytes",
		Annotations:   targetAnnotation("bytes"),
		Example:       &Example{Field: "size", Raw: 4_194_304, Text: "4.2 MB"},
		Extend:        shownAs(bytesText),
	}
}

func bytesText(f event.Field, _ *Env) event.TextFunc {
	return func(dst []byte, b *event.Batch, row int) []byte {
		n, negative := magnitude(&f, b.Rows[row])
		if negative {
			dst = append(dst, '-')
		}
		return appendBytes(dst, n)
	}
}

func appendBytes(dst []byte, n uint64) []byte {
	if n < 1000 {
		return append(strconv.AppendUint(dst, n, 10), " B"...)
	}
	const units = "kMGTPE"
	unit, i := uint64(1000), 0
	// From 999.5 on a number rounds to 1000, which is 1 of the next unit.
	for i < len(units)-1 && n >= unit*1000-unit/2 {
		unit *= 1000
		i++
	}
	tenths := roundedDivide(n, unit/10)
	if tenths < 100 {
		dst = append(dst, byte('0'+tenths/10), '.', byte('0'+tenths%10))
	} else {
		dst = strconv.AppendUint(dst, roundedDivide(n, unit), 10)
	}
	return append(dst, ' ', units[i], 'B')
}

// roundedDivide returns n/d rounded to the nearest, halves up.
func roundedDivide(n, d uint64) uint64 {
	q, rest := n/d, n%d
	if rest >= d-rest {
		q++
	}
	return q
}

// magnitude returns the value of an integer field without its sign.
func magnitude(f *event.Field, rec []byte) (n uint64, negative bool) {
	if f.Kind != event.Int {
		return f.Uint(rec), false
	}
	v := f.Int(rec)
	if v < 0 {
		return -uint64(v), true
	}
	return uint64(v), false
}
