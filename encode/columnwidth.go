// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import "github.com/gizmo-ebpf/gizmo/event"

const (
	defaultWidth = 16 // of text
	widestNumber = 20 // by default: the digits of 64 bits
	narrowest    = 5  // the least width to which a column without a MinWidth is scaled
	boundless    = 1 << 30
)

// span is the width of one column while the table's width is divided. All numbers count cells.
type span struct {
	width int  // first the width that the column wants, then the width that it gets
	low   int  // the least that the annotations or the defaults allow
	roomy int  // low, or the header's length if that is more
	high  int  // the most
	cut   int  // the width to which annotations cut values; 0: they don't
	fixed bool // stays as it is
	whole bool // a number: a part of a number is a wrong number, so only annotations cut it
}

// newSpan returns the width that a column wants: the width of its annotations, else 16 for text and
// enough for the largest value for numbers. It is at least the width of the header, unless the width
// is fixed or has a maximum.
func newSpan(style *event.ColumnStyle, v *value, header int) span {
	sp := span{width: style.Width, high: boundless, fixed: style.Fixed, whole: v.op.isScalar()}
	if style.MaxWidth > 0 {
		sp.high, sp.cut = style.MaxWidth, style.MaxWidth
	}
	if sp.width <= 0 {
		sp.width = max(usualWidth(v), header)
	}
	if !sp.fixed {
		sp.width = max(sp.width, header)
	}
	sp.width = min(max(sp.width, style.MinWidth), sp.high)
	if sp.fixed {
		sp.cut = sp.width
	}
	if sp.whole {
		sp.high = sp.width // numbers need no more
	}
	sp.low = style.MinWidth
	if sp.low <= 0 {
		sp.low = min(narrowest, sp.width)
	}
	sp.low = min(sp.low, sp.high)
	sp.roomy = min(max(sp.low, header), sp.high)
	return sp
}

// limit returns the number of cells to which values are cut, or 0. In a table that is not scaled,
// only annotations cut values.
func (sp *span) limit(scaled bool) int {
	if scaled && !sp.whole {
		return sp.width
	}
	return sp.cut
}

// usualWidth returns the width of a column without annotations about its width.
func usualWidth(v *value) int {
	width := int(v.number.Bits())
	const digitsPerBit = 30103 // times 100000
	signed := false
	switch v.op {
	case opBool, opOddBool:
		return len("false")
	case opInt32, opInt64, opInt128, opOddInt:
		signed = true
	case opUint8, opUint16, opUint32, opUint64, opUint128, opOddUint:
	default:
		return defaultWidth
	}
	digits := width*digitsPerBit/100000 + 1
	switch {
	case v.hex:
		digits = len("0x") + (width+3)/4
	case signed:
		digits = len("-") + (width-1)*digitsPerBit/100000 + 1
	}
	return min(digits, widestNumber)
}

// scale divides total cells among the spans. Fixed spans keep their width; the others share the rest
// in proportion to their wanted widths, within their bounds. If that is impossible, all get their
// minimum, and lines are longer than the terminal.
func scale(spans []span, total int) {
	var flexible []*span
	roomy := 0
	for i := range spans {
		if spans[i].fixed {
			total -= spans[i].width
			continue
		}
		flexible = append(flexible, &spans[i])
		roomy += spans[i].roomy
	}
	if roomy <= total {
		for _, sp := range flexible {
			sp.low = sp.roomy
		}
	}
	share(flexible, total)
}

// share gives each span its part of total. Spans whose part would be out of their bounds get the
// bound, and the others share the rest again. It fixes either the spans that are too narrow or those
// that are too wide first, whichever differ by more, because that may bring the others into their bounds.
func share(spans []*span, total int) {
	for len(spans) > 0 {
		parts, excess := proportions(spans, total)
		var open []*span
		for i, sp := range spans {
			bounded := sp.clamp(parts[i])
			if excess > 0 && bounded > parts[i] || excess < 0 && bounded < parts[i] {
				sp.width = bounded
				total -= bounded
			} else {
				open = append(open, sp)
			}
		}
		if len(open) == len(spans) {
			settle(spans, parts, total)
			return
		}
		spans = open
	}
}

// proportions returns each span's part of total, and by how much the bounds would exceed it.
func proportions(spans []*span, total int) (parts []int, excess int) {
	wanted := 0
	for _, sp := range spans {
		wanted += sp.width
	}
	parts = make([]int, len(spans))
	for i, sp := range spans {
		parts[i] = max(total, 0) * sp.width / max(wanted, 1)
		excess += sp.clamp(parts[i]) - parts[i]
	}
	return parts, excess
}

// settle makes the parts final. The first spans get the cells that rounding left over, one each.
func settle(spans []*span, parts []int, total int) {
	for i, sp := range spans {
		sp.width = sp.clamp(parts[i])
		total -= sp.width
	}
	for grown := true; grown && total > 0; {
		grown = false
		for _, sp := range spans {
			if total > 0 && sp.width < sp.high {
				sp.width, total, grown = sp.width+1, total-1, true
			}
		}
	}
}

// clamp returns n within the span's bounds.
func (sp *span) clamp(n int) int { return min(max(n, sp.low), sp.high) }
