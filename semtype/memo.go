// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import "github.com/gizmo-ebpf/gizmo/event"

// remember returns a text that keeps what it wrote last and writes it again as long as the integer
// field f has the same value: most events of a stream have the flags, the mode and the user of the
// event before. The text must depend on nothing else.
func remember(f event.Field, text event.TextFunc) event.TextFunc {
	return rememberWhile(f, nil, text)
}

// rememberWhile is remember for a text that may change with what version returns, too.
func rememberWhile(f event.Field, version func() uint64, text event.TextFunc) event.TextFunc {
	var m memo
	return func(dst []byte, b *event.Batch, row int) []byte {
		value, now := f.Uint(b.Rows[row]), uint64(0)
		if version != nil {
			now = version()
		}
		if m.valid && m.value == value && m.version == now {
			return append(dst, m.text...)
		}
		start := len(dst)
		dst = text(dst, b, row)
		m.text = append(m.text[:0], dst[start:]...)
		m.value, m.version, m.valid = value, now, true
		return dst
	}
}

// memo is the last value and its text.
type memo struct {
	value, version uint64
	valid          bool
	text           []byte
}
