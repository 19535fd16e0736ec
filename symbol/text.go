// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"fmt"
	"path"
	"strconv"
)

// Format is what a text shows of the addresses of a stack. The values are those in recordings.
type Format string

// The formats. Each address is followed by "; ", also the last one.
const (
	// Symbols shows the names of functions, as [Location.AppendName] writes them.
	Symbols Format = "symbols"
	// Addresses shows the addresses in memory, with 16 hex digits.
	Addresses Format = "addresses"
	// BuildIDs shows the build id of the file and the place in it, "0123…cdef +1f20"; for code of no file, and of a file without
	// a build id, the address in memory.
	BuildIDs Format = "buildids"
)

// IsKnown reports whether f is one of the formats.
func (f Format) IsKnown() bool { return f == Symbols || f == Addresses || f == BuildIDs }

// maxText is the size of the longest text of a stack. 127 names of 500 bytes are shorter.
const maxText = 64 << 10

// Append appends the text of a stack. It leaves out addresses that would make the text longer than 64 KiB, and then ends it with "…".
func (s *Stack) Append(dst []byte, f Format) []byte {
	start := len(dst)
	for i, address := range s.Addresses {
		before := len(dst)
		switch l := s.Locations[i]; f {
		case Symbols:
			dst = l.AppendName(dst)
		case Addresses:
			dst = appendAddress(dst, address)
		case BuildIDs:
			dst = l.appendBuildID(dst, address)
		}
		dst = append(dst, "; "...)
		if len(dst)-start > maxText-len("…") {
			return append(dst[:before], "…"...)
		}
	}
	return dst
}

// AppendName appends the name of the function; without one, the name of the file and the address in it as "libc.so.6+0x1f20", so that
// the function can still be found; without a file, the address.
func (l *Location) AppendName(dst []byte) []byte {
	switch {
	case l.Function != nil:
		return append(dst, l.Function.Name...)
	case l.Module != nil && !l.Module.Kernel:
		dst = append(dst, path.Base(l.Module.Name)...)
		dst = append(dst, '+')
	}
	return strconv.AppendUint(append(dst, "0x"...), l.Address, 16)
}

func appendAddress(dst []byte, address uint64) []byte { return fmt.Appendf(dst, "0x%016x", address) }

func (l *Location) appendBuildID(dst []byte, address uint64) []byte {
	m := l.Module
	if m == nil || m.BuildID == "" || m.Kernel {
		return appendAddress(dst, address)
	}
	dst = append(dst, m.BuildID...)
	return strconv.AppendUint(append(dst, " +"...), l.Address-m.Start+m.Offset, 16)
}
