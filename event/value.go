// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"bytes"
	"encoding/binary"
)

// Uint reads an unsigned value of 1, 2, 4 or 8 bytes, or a bit field, at the field's place in
// rec. For wider or odd-sized fields it returns at most their lowest 8 bytes. For arrays it reads the first
// element.
func (f *Field) Uint(rec []byte) uint64 {
	v := LoadUint(rec[f.Off:], f.ElemSize())
	if f.BitSize > 0 {
		v = v >> f.BitOff & (1<<f.BitSize - 1)
	}
	return v
}

// Int is Uint for signed values.
func (f *Field) Int(rec []byte) int64 {
	v := f.Uint(rec)
	width := uint(f.BitSize)
	if width == 0 {
		width = uint(min(f.ElemSize(), 8)) * 8
	}
	shift := 64 - width
	return int64(v<<shift) >> shift
}

// Trailing returns the trailing data of rec, for a field that has Rest set.
func (f *Field) Trailing(rec []byte) []byte {
	rest := rec[f.Off:]
	if f.LenSize == 0 {
		return rest
	}
	n := LoadUint(rec[f.LenOff:], f.LenSize)
	return rest[:min(n, uint64(len(rest)))]
}

// LoadUint reads the little-endian integer of size bytes at the start of p; of more than 8 bytes,
// the lowest 8.
func LoadUint(p []byte, size uint32) uint64 {
	switch size {
	case 1:
		return uint64(p[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(p))
	case 4:
		return uint64(binary.LittleEndian.Uint32(p))
	case 8:
		return binary.LittleEndian.Uint64(p)
	}
	var v uint64
	for i := min(size, 8); i > 0; i-- {
		v = v<<8 | uint64(p[i-1])
	}
	return v
}

// CString returns p up to its first NUL byte.
func CString(p []byte) []byte {
	if i := bytes.IndexByte(p, 0); i >= 0 {
		return p[:i]
	}
	return p
}
