// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

func text(style event.ColumnStyle, header int) span {
	return newSpan(&style, &value{op: opText}, header)
}

func widths(spans []span) []int {
	var out []int
	for _, sp := range spans {
		out = append(out, sp.width)
	}
	return out
}

func TestScale(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spans []span
		total int
		want  []int
	}{
		{"nothing", nil, 80, nil},
		{"in proportion", []span{text(event.ColumnStyle{Width: 10}, 1), text(event.ColumnStyle{Width: 30}, 1)}, 80, []int{20, 60}},
		{"what rounding leaves goes to the first", []span{text(event.ColumnStyle{}, 1), text(event.ColumnStyle{}, 1), text(event.ColumnStyle{}, 1)}, 50, []int{17, 17, 16}},
		{"fixed", []span{text(event.ColumnStyle{Width: 10, Fixed: true}, 1), text(event.ColumnStyle{}, 1)}, 80, []int{10, 70}},
		{"the most", []span{text(event.ColumnStyle{MaxWidth: 20}, 1), text(event.ColumnStyle{}, 1)}, 80, []int{20, 60}},
		{"the least", []span{text(event.ColumnStyle{MinWidth: 20}, 1), text(event.ColumnStyle{Width: 60}, 1)}, 40, []int{20, 20}},
		{"headers where there is room", []span{text(event.ColumnStyle{}, 15), text(event.ColumnStyle{Width: 60}, 1)}, 30, []int{15, 15}},
		{"no room for headers", []span{text(event.ColumnStyle{}, 15), text(event.ColumnStyle{}, 15)}, 20, []int{10, 10}},
		{"runs over", []span{text(event.ColumnStyle{MinWidth: 12}, 15), text(event.ColumnStyle{}, 1)}, 10, []int{12, 5}},
		{"no room at all", []span{text(event.ColumnStyle{Width: 30, Fixed: true}, 1), text(event.ColumnStyle{}, 1)}, 10, []int{30, 5}},
		{"all bounded", []span{text(event.ColumnStyle{MaxWidth: 20}, 1), text(event.ColumnStyle{MaxWidth: 10}, 1)}, 80, []int{20, 10}},
		{"numbers do not grow", []span{newSpan(&event.ColumnStyle{}, &value{op: opUint32, number: event.Number{Size: 4}}, 2), text(event.ColumnStyle{}, 1)}, 80, []int{10, 70}},
	} {
		scale(c.spans, c.total)
		if got := widths(c.spans); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestScaleKeepsBoundsAndSum(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4))
	for range 20000 {
		var spans []span
		sumLow, sumHigh := 0, 0
		for range 1 + r.IntN(12) {
			style := event.ColumnStyle{Width: r.IntN(40), MinWidth: r.IntN(20), MaxWidth: r.IntN(2) * r.IntN(60), Fixed: r.IntN(4) == 0}
			sp := text(style, r.IntN(20))
			if sp.fixed {
				sp.low, sp.high = sp.width, sp.width
			}
			spans = append(spans, sp)
			sumLow, sumHigh = sumLow+sp.low, sumHigh+sp.high
		}
		total := r.IntN(250)
		before := slices.Clone(spans)
		scale(spans, total)
		sum := 0
		for i, sp := range spans {
			sum += sp.width
			if sp.width < before[i].low || sp.width > before[i].high {
				t.Fatalf("%+v with %d cells: column %d gets %d", before, total, i, sp.width)
			}
		}
		if want := min(max(total, sumLow), sumHigh); sum != want {
			t.Fatalf("%+v with %d cells: %v take %d, want %d", before, total, widths(spans), sum, want)
		}
	}
}

func TestUsualWidth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v    value
		want int
	}{
		{value{op: opUint8, number: event.Number{Size: 1}}, 3}, {value{op: opUint16, number: event.Number{Size: 2}}, 5}, {value{op: opUint32, number: event.Number{Size: 4}}, 10}, {value{op: opUint64, number: event.Number{Size: 8}}, 20},
		{value{op: opOddInt, number: event.Number{Size: 1}}, 4}, {value{op: opOddInt, number: event.Number{Size: 2}}, 6}, {value{op: opInt32, number: event.Number{Size: 4}}, 11}, {value{op: opInt64, number: event.Number{Size: 8}}, 20},
		{value{op: opUint128, number: event.Number{Size: 16}}, 20}, {value{op: opOddUint, number: event.Number{Size: 4, BitSize: 3}}, 1}, {value{op: opUint32, number: event.Number{Size: 4}, hex: true}, 10},
		{value{op: opBool, number: event.Number{Size: 1}}, 5}, {value{op: opString, number: event.Number{Size: 100}}, 16}, {value{op: opFloat, number: event.Number{Size: 8}}, 16},
	} {
		if got := usualWidth(&c.v); got != c.want {
			t.Errorf("%+v: got %d, want %d", c.v, got, c.want)
		}
	}
}
