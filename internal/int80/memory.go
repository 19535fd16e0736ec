// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package int80

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LowMemory is memory whose addresses fit registers of 32 bits: 64 KiB.
type LowMemory struct {
	memory []byte
	used   int
}

func newLowMemory() (*LowMemory, error) {
	const size = 1 << 16
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|mapLow)
	if err != nil {
		return nil, fmt.Errorf("map low memory: %w", err)
	}
	return &LowMemory{memory: m}, nil
}

func (l *LowMemory) free() error {
	if err := unix.Munmap(l.memory); err != nil {
		return fmt.Errorf("unmap low memory: %w", err)
	}
	return nil
}

// Put copies data, at most as much as there is room for, and returns its address.
func (l *LowMemory) Put(data []byte) uintptr {
	at := l.used
	l.used += copy(l.memory[at:], data)
	l.used = (l.used + 7) &^ 7
	return uintptr(unsafe.Pointer(&l.memory[at]))
}

// Text is Put for a text and the zero byte that ends it.
func (l *LowMemory) Text(s string) uintptr { return l.Put(append([]byte(s), 0)) }

// Numbers is Put for numbers of 32 bits, such as addresses.
func (l *LowMemory) Numbers(values ...uint32) uintptr {
	var data []byte
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, v)
	}
	return l.Put(data)
}
