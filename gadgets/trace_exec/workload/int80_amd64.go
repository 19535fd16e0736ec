// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// int80 makes a call as 32-bit programs do: with their numbers, and registers of half the size.
func int80(nr, a, b, c, d, e uintptr) uintptr

// lowMemory is memory that has addresses for it.
type lowMemory struct {
	memory []byte
	used   int
}

func newLowMemory() (*lowMemory, error) {
	const size = 1 << 16
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_32BIT)
	if err != nil {
		return nil, fmt.Errorf("map low memory: %w", err)
	}
	return &lowMemory{memory: m}, nil
}

func (l *lowMemory) put(data []byte) uintptr {
	at := l.used
	l.used += copy(l.memory[at:], data)
	l.used = (l.used + 7) &^ 7
	return uintptr(unsafe.Pointer(&l.memory[at]))
}

func (l *lowMemory) text(s string) uintptr { return l.put(append([]byte(s), 0)) }

func (l *lowMemory) numbers(values ...uint32) uintptr {
	var data []byte
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, v)
	}
	return l.put(data)
}

// hasInt80 reports whether the kernel takes such calls. If it does not, the processor complains.
func hasInt80() (ok bool) {
	defer func() { ok = recover() == nil }()
	const getpid = 20
	int80(getpid, 0, 0, 0, 0, 0)
	return true
}

func resultOf(r uintptr) (uintptr, unix.Errno) {
	if n := int32(r); n < 0 {
		return 0, unix.Errno(-n)
	}
	return r, 0
}
