// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"strconv"

	"github.com/gizmo-ebpf/gizmo/event"
)

func durationType() Type {
	return Type{
		CName: "gadget_duration",
		On:    "__u64",
		Doc:   "A length of time in nanoseconds.",
		Adds: "The time as Go writes it: in the largest of `ns`, `µs`, `ms` and `s` that gives at " +
			"least 1, with two digits after the decimal point, except for `ns`; from one minute in whole seconds, " +
			"as in `2m3s` or `1h0m5s`.",
		Template:      "duration",
		AddedTemplate: "duration",
		Annotations:   targetAnnotation("duration"),
		Example:       &Example{Field: "latency", Raw: 1_350_200, Text: "1.35ms"},
		Extend:        shownAs(durationText),
	}
}

func durationText(f event.Field, _ *Env) event.TextFunc {
	return func(dst []byte, b *event.Batch, row int) []byte {
		n, negative := magnitude(&f, b.Rows[row])
		if negative {
			dst = append(dst, '-')
		}
		return appendDuration(dst, n)
	}
}

// The units that durations are written in, in nanoseconds.
const (
	microsecond = 1000
	millisecond = 1000 * microsecond
	second      = 1000 * millisecond
	minute      = 60 * second
)

// appendDuration picks the unit by the rounded value: 999.999µs reads 1.00ms, not 1000.00µs.
func appendDuration(dst []byte, n uint64) []byte {
	switch {
	case n == 0:
		return append(dst, "0s"...)
	case n < microsecond:
		return append(strconv.AppendUint(dst, n, 10), "ns"...)
	case n < millisecond-microsecond/200:
		return append(appendHundredths(dst, roundedDivide(n, microsecond/100)), "µs"...)
	case n < second-millisecond/200:
		return append(appendHundredths(dst, roundedDivide(n, millisecond/100)), "ms"...)
	case n < minute-second/200:
		return append(appendHundredths(dst, roundedDivide(n, second/100)), 's')
	}
	return appendMinutes(dst, roundedDivide(n, second))
}

// appendHundredths writes n/100 with two digits after the point, as scripts expect them.
func appendHundredths(dst []byte, n uint64) []byte {
	dst = strconv.AppendUint(dst, n/100, 10)
	return append(dst, '.', byte('0'+n%100/10), byte('0'+n%10))
}

// appendMinutes writes a number of seconds that is at least a minute.
func appendMinutes(dst []byte, seconds uint64) []byte {
	if hours := seconds / 3600; hours > 0 {
		dst = append(strconv.AppendUint(dst, hours, 10), 'h')
	}
	dst = append(strconv.AppendUint(dst, seconds/60%60, 10), 'm')
	return append(strconv.AppendUint(dst, seconds%60, 10), 's')
}
