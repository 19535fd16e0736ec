// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pieceSize is how much of a ring's data area is mapped at once: as much as a batch takes. It is a power of two and whole pages.
const pieceSize = 256 << 10

// window is the part of a ring's data area that is mapped into this process. The kernel counts mapped pages as memory of the
// process, even if it has never touched them, and a ring has many of them: so the window maps pieces when there is something to read in
// them.
type window struct {
	fd    int
	area  []byte // the addresses of the whole data area
	piece uint64
	// from and to are positions, multiples of piece. The memory between them is mapped: at most the size of the area.
	from, to uint64
}

// open reserves the addresses for a data area of size bytes. Reading starts at the position begin.
func (w *window) open(fd, size int, piece, begin uint64) error {
	at, err := unix.MmapPtr(-1, 0, nil, uintptr(size), unix.PROT_NONE, reserved)
	if err != nil {
		return fmt.Errorf("reserve addresses for the ring buffer: %w", err)
	}
	w.fd, w.area, w.piece = fd, unsafe.Slice((*byte)(at), size), min(piece, uint64(size))
	w.from = begin &^ (w.piece - 1)
	w.to = w.from
	return nil
}

// reserved are the flags for reserving addresses: such pages take no memory and count against no limit.
const reserved = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE

// extend maps the memory before the position end, which is at most the area's size after the first position that is still used.
// After an error nothing may be mapped.
func (w *window) extend(end uint64) error {
	size := uint64(len(w.area))
	to := (end + w.piece - 1) &^ (w.piece - 1)
	err := w.each(w.to, min(to, w.from+size), func(at unsafe.Pointer, off, n uint64) error {
		off += 2 * uint64(os.Getpagesize()) // before the data, the kernel's file has two pages with the positions
		_, err := unix.MmapPtr(w.fd, int64(off), at, uintptr(n), unix.PROT_READ, unix.MAP_SHARED|unix.MAP_FIXED)
		return err
	})
	if err != nil {
		return fmt.Errorf("map a part of the ring buffer: %w", err)
	}
	w.to = to
	w.from = max(w.from, to-min(to, size)) // earlier positions have the same addresses as later ones
	return nil
}

// shrink unmaps the pieces before the one that contains the position begin. The addresses stay
// reserved: nothing else of this process may be mapped there. After an error nothing may be mapped.
func (w *window) shrink(begin uint64) error {
	begin &^= w.piece - 1
	err := w.each(w.from, begin, func(at unsafe.Pointer, _, n uint64) error {
		_, err := unix.MmapPtr(-1, 0, at, uintptr(n), unix.PROT_NONE, reserved|unix.MAP_FIXED)
		return err
	})
	if err != nil {
		return fmt.Errorf("unmap a part of the ring buffer: %w", err)
	}
	w.from = max(w.from, begin)
	return nil
}

// each calls f for the memory between two positions, in two parts if the area's end is between them: with the address, the offset
// in the area and the length.
func (w *window) each(from, to uint64, f func(at unsafe.Pointer, off, n uint64) error) error {
	size := uint64(len(w.area))
	for from < to {
		off := from & (size - 1)
		n := min(to-from, size-off)
		if err := f(unsafe.Pointer(&w.area[off]), off, n); err != nil {
			return err
		}
		from += n
	}
	return nil
}

// close releases the addresses.
func (w *window) close() error {
	if w.area == nil {
		return nil
	}
	at, size := unsafe.Pointer(&w.area[0]), uintptr(len(w.area))
	w.area = nil
	return unix.MunmapPtr(at, size)
}
