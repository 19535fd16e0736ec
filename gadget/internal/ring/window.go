// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pieceSize is what is mapped of a ring's data area at once: as much as a batch takes. A power of two and whole pages.
const pieceSize = 256 << 10

// window is the part of a ring's data area that is mapped into this process. The kernel counts mapped pages as memory of the
// process, whether it has touched them or not, and a ring has many of them: pieces are mapped when there is something to read in
// them.
type window struct {
	fd    int
	area  []byte // the addresses of the whole data area
	piece uint64
	// from and to are positions, multiples of piece. What lies between them is mapped: at most a lap.
	from, to uint64
}

// open reserves the addresses for a data area of size bytes, of which the position begin is read first.
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

// reserved is how addresses are reserved: such pages take no memory and do not count against any limit of it.
const reserved = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE

// extend maps what lies before the position end. That is no farther from the first position that is still used than the area's
// size. After an error nothing may be mapped any more.
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
	w.from = max(w.from, to-min(to, size)) // what was before that is in the window a lap later
	return nil
}

// shrink takes out of the window what lies before the position begin, but for the piece in which that is. The addresses stay
// reserved: nothing else of this process must come to lie there. After an error nothing may be mapped any more.
func (w *window) shrink(begin uint64) error {
	begin &^= w.piece - 1
	err := w.each(w.from, begin, func(at unsafe.Pointer, _, n uint64) error {
		_, err := unix.MmapPtr(-1, 0, at, uintptr(n), unix.PROT_NONE, reserved|unix.MAP_FIXED)
		return err
	})
	if err != nil {
		return fmt.Errorf("take a part of the ring buffer out of memory: %w", err)
	}
	w.from = max(w.from, begin)
	return nil
}

// each calls f for what lies between two positions, in two parts if the area's end is between them: with the address, the offset
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

// close gives the addresses back.
func (w *window) close() error {
	if w.area == nil {
		return nil
	}
	at, size := unsafe.Pointer(&w.area[0]), uintptr(len(w.area))
	w.area = nil
	return unix.MunmapPtr(at, size)
}
