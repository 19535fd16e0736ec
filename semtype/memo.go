// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"encoding/binary"

	"github.com/gizmo-ebpf/gizmo/event"
)

// remember returns a text that keeps its last output and writes it again as long as the integer
// field f has the same value: most events of a stream have the flags, the mode and the user of the
// event before. The text must not depend on anything else.
func remember(f event.Field, text event.TextFunc) event.TextFunc {
	var m memo
	if f.Size != 4 || f.BitSize > 0 {
		return func(dst []byte, b *event.Batch, row int) []byte {
			return m.append(dst, b, row, f.Uint(b.Rows[row]), 0, text)
		}
	}
	off := f.Off // nearly all are of this size
	return func(dst []byte, b *event.Batch, row int) []byte {
		return m.append(dst, b, row, uint64(binary.LittleEndian.Uint32(b.Rows[row][off:])), 0, text)
	}
}

// rememberWhile is remember for a text that also changes with the result of version.
func rememberWhile(f event.Field, version func() uint64, text event.TextFunc) event.TextFunc {
	var m memo
	return func(dst []byte, b *event.Batch, row int) []byte {
		return m.append(dst, b, row, f.Uint(b.Rows[row]), version(), text)
	}
}

// memo is the last value and its text.
type memo struct {
	value, version uint64
	valid          bool
	text           []byte
}

func (m *memo) append(dst []byte, b *event.Batch, row int, value, version uint64, text event.TextFunc) []byte {
	if m.valid && m.value == value && m.version == version {
		return append(dst, m.text...)
	}
	start := len(dst)
	dst = text(dst, b, row)
	m.text = append(m.text[:0], dst[start:]...)
	m.value, m.version, m.valid = value, version, true
	return dst
}
