// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"encoding/hex"
	"math"
	"math/big"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/event"
)

// shownText returns what writes a value of the record as the output shows it.
func shownText(o operand) event.TextFunc {
	f := o.Field
	switch o.shape {
	case shapeInteger:
		if f.Kind == event.Int {
			return func(dst []byte, b *event.Batch, row int) []byte {
				return strconv.AppendInt(dst, f.Int(b.Rows[row]), 10)
			}
		}
		return func(dst []byte, b *event.Batch, row int) []byte {
			return strconv.AppendUint(dst, f.Uint(b.Rows[row]), 10)
		}
	case shapeWide:
		return wideText(f)
	case shapeFloat:
		return func(dst []byte, b *event.Batch, row int) []byte {
			return appendFloat(dst, loadFloat(b.Rows[row][f.Off:f.Off+f.Size]), int(f.Size)*8)
		}
	case shapeBool:
		return func(dst []byte, b *event.Batch, row int) []byte {
			return strconv.AppendBool(dst, f.Uint(b.Rows[row]) != 0)
		}
	case shapeRest:
		return func(dst []byte, b *event.Batch, row int) []byte {
			return hex.AppendEncode(dst, f.Trailing(b.Rows[row]))
		}
	}
	return func(dst []byte, b *event.Batch, row int) []byte {
		return hex.AppendEncode(dst, b.Rows[row][f.Off:f.Off+f.Size])
	}
}

// wideText writes integers of 16 bytes. They are so rare that it may take its time.
func wideText(f *event.Field) event.TextFunc {
	modulus := new(big.Int).Lsh(big.NewInt(1), 128)
	return func(dst []byte, b *event.Batch, row int) []byte {
		p := b.Rows[row][f.Off:]
		n := new(big.Int).SetUint64(event.LoadUint(p[8:], 8))
		n.Or(n.Lsh(n, 64), new(big.Int).SetUint64(event.LoadUint(p, 8)))
		if f.Kind == event.Int && n.Bit(127) == 1 {
			n.Sub(n, modulus)
		}
		return n.Append(dst, 10)
	}
}

// appendFloat appends the shortest text that reads back as x, with an exponent where it would have
// many zeros.
func appendFloat(dst []byte, x float64, bitSize int) []byte {
	form := byte('f')
	if a := math.Abs(x); a != 0 && (a < 1e-6 || a >= 1e21) {
		form = 'e'
	}
	return strconv.AppendFloat(dst, x, form, -1, bitSize)
}
