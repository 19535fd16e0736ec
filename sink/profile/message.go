// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import "encoding/binary"

// message is a message of protocol buffers.
type message []byte

// The ways in which values are encoded that profiles use.
const (
	wireVarint = 0
	wireBytes  = 2
)

func (m *message) varint(v uint64) { *m = binary.AppendUvarint(*m, v) }

// uint adds a number. 0 is the default, which is left out.
func (m *message) uint(field, v uint64) {
	if v != 0 {
		m.varint(field<<3 | wireVarint)
		m.varint(v)
	}
}

// bool adds whether something is so. If not, it is left out.
func (m *message) bool(field uint64, v bool) {
	if v {
		m.uint(field, 1)
	}
}

// bytes adds a text, a message, or packed numbers.
func (m *message) bytes(field uint64, v []byte) {
	m.varint(field<<3 | wireBytes)
	m.varint(uint64(len(v)))
	*m = append(*m, v...)
}
