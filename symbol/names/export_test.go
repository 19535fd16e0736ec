// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"bytes"
	"time"

	"github.com/cilium/ebpf"
)

// NewTestKernel returns a kernel with other folders than /proc and /sys, its own time, and its own BPF programs.
func NewTestKernel(proc, sys string, now func() time.Time, next func(ebpf.ProgramID) (ebpf.ProgramID, error)) *Kernel {
	return newKernel(system{proc: proc, sys: sys, now: now, nextProgram: next})
}

// ParseKernel reads a table as the kernel writes it, and returns how many functions it has.
func ParseKernel(text []byte, addrs ...uint64) (int, error) {
	var t kallsyms
	err := t.parse(bytes.NewReader(text))
	for _, a := range addrs {
		if i := t.find(a); i >= 0 {
			_ = t.name(t.rows[i])
			_ = t.modules[t.rows[i].module]
		}
	}
	return len(t.rows), err
}

// PerfRanges reads a map in pieces, and returns where the name of each address is.
func PerfRanges(pieces [][]byte, addrs []uint64) ([]int64, error) {
	var p perfRanges
	var err error
	var all []byte
	for _, piece := range pieces {
		all = append(all, piece...)
		err = p.parse(bytes.NewReader(all[p.read:]))
	}
	places := make([]int64, len(addrs))
	for i, a := range addrs {
		places[i] = -1
		if at, ok := p.find(a); ok {
			places[i] = int64(at)
		}
	}
	return places, err
}

// Decompress is decompress, and returns all bytes.
func Decompress(data []byte) ([]byte, error) {
	c, err := decompress(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	out := make([]byte, c.size)
	_, err = c.ReadAt(out, 0)
	return out, err
}

// OpenPerfMapAt is OpenPerfMap with a time of its own.
func (f *Files) OpenPerfMapAt(dir string, now func() time.Time) (*PerfMap, error) {
	return f.openPerfMap(dir, now)
}

// EndsAbbrevs reports whether a table of abbreviations ends within the bytes.
func EndsAbbrevs(b []byte) bool { return endsAbbrevs(b) }
