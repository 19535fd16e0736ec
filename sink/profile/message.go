// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"cmp"
	"encoding/binary"
	"io"
)

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

// pieces is a message that is written in pieces.
type pieces struct {
	message
	w   io.Writer
	err error // the first one
}

// add is bytes, and writes what there is if it is much.
func (p *pieces) add(field uint64, v []byte) {
	p.bytes(field, v)
	if len(p.message) >= pieceSize {
		_ = p.end()
	}
}

// end writes the rest.
func (p *pieces) end() error {
	_, err := p.w.Write(p.message)
	p.err = cmp.Or(p.err, err)
	p.message = p.message[:0]
	return p.err
}
