// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package int80

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Call makes a call as 32-bit programs do: with their numbers, and registers of half the size.
func Call(nr, a, b, c, d, e uintptr) uintptr

// LowMemory is memory whose addresses fit such registers. It is never given back.
type LowMemory struct {
	memory []byte
	used   int
}

// NewLowMemory returns 64 KiB.
func NewLowMemory() (*LowMemory, error) {
	const size = 1 << 16
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_32BIT)
	if err != nil {
		return nil, fmt.Errorf("map low memory: %w", err)
	}
	return &LowMemory{memory: m}, nil
}

// Put copies data, at most what is left, and returns its address.
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

// Available reports whether the kernel takes such calls. If it does not, the processor complains.
func Available() (ok bool) {
	defer func() { ok = recover() == nil }()
	const getpid = 20
	Call(getpid, 0, 0, 0, 0, 0)
	return true
}

// Result splits what a call returned into its value and its error.
func Result(r uintptr) (uintptr, unix.Errno) {
	if n := int32(r); n < 0 {
		return 0, unix.Errno(-n)
	}
	return r, 0
}
