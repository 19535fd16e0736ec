// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package ring reads a BPF ring buffer in place. The library's reader copies each record and takes
// a lock for it; this one hands out the kernel's own memory and releases it a batch at a time.
package ring

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The header before each record, as the kernel lays it out: a word with the length and two flags,
// and a word that is the kernel's own.
const (
	headerSize = 8
	busyBit    = 1 << 31
	discardBit = 1 << 30
)

// Ring is the reading end of one BPF ring buffer. It is for one goroutine, except for Wake.
type Ring struct {
	consumer *atomic.Uint64 // written by us, read by the kernel
	producer *atomic.Uint64 // written by the kernel
	data     []byte         // only the window of it is mapped
	window   window
	mask     uint64
	pos      uint64 // how far Next has come; consumer follows on Release
	after    uint64 // the end of the record that Peek has returned

	consumerPage, producerPage []byte // mapped
	err                        error  // of the window: the ring cannot be read any more
	waiter
}

// Open maps the ring buffer behind the descriptor fd, whose data area has size bytes (a power of
// two, the map's max_entries). The descriptor must stay open as long as the ring.
func Open(fd, size int) (*Ring, error) { return open(fd, size, pieceSize) }

func open(fd, size, piece int) (*Ring, error) {
	r := &Ring{mask: uint64(size) - 1, waiter: newWaiter()}
	if err := errors.Join(r.mmap(fd, size, piece), r.waiter.open(fd)); err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Ring) mmap(fd, size, piece int) (err error) {
	page := os.Getpagesize()
	if r.consumerPage, err = unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map the consumer's page of the ring buffer: %w", err)
	}
	if r.producerPage, err = unix.Mmap(fd, int64(page), page, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map the producer's page of the ring buffer: %w", err)
	}
	// The kernel offers the data area twice in a row, so that a record at its end can be read as one piece. gizmo maps it once, which
	// counts as half the memory; Next then returns two pieces.
	r.consumer = (*atomic.Uint64)(unsafe.Pointer(&r.consumerPage[0]))
	r.producer = (*atomic.Uint64)(unsafe.Pointer(&r.producerPage[0]))
	r.pos = r.consumer.Load()
	err = r.window.open(fd, size, uint64(piece), r.pos)
	r.data = r.window.area
	return err
}

// Next returns the next record, or false when the kernel has finished none beyond those returned
// so far. A record that wraps around the end of the buffer comes in two pieces. The memory is the
// kernel's: it may be read until Release.
func (r *Ring) Next() (head, tail []byte, ok bool) {
	head, tail, ok = r.Peek()
	if ok {
		r.Take()
	}
	return head, tail, ok
}

// Peek returns the same record as the next call of Next, without consuming it.
func (r *Ring) Peek() (head, tail []byte, ok bool) {
	end := r.producer.Load()
	for r.pos < end {
		if next := r.pos + headerSize; next > r.window.to && !r.extend(next) {
			break
		}
		at := r.pos & r.mask
		word := (*atomic.Uint32)(unsafe.Pointer(&r.data[at])).Load()
		if word&busyBit != 0 {
			return nil, nil, false
		}
		size := uint64(word &^ (busyBit | discardBit))
		r.after = r.pos + (size+headerSize+7)&^7
		if r.after > r.window.to && !r.extend(r.after) {
			break
		}
		if word&discardBit != 0 {
			r.pos = r.after
			continue
		}
		from := (at + headerSize) & r.mask
		if to := from + size; to <= uint64(len(r.data)) {
			return r.data[from:to:to], nil, true
		}
		head = r.data[from:]
		return head, r.data[:size-uint64(len(head))], true
	}
	return nil, nil, false
}

// extend maps the memory before the position end, and reports whether that succeeded. Its callers compare end with the end of the
// window first, because they do so for each event.
func (r *Ring) extend(end uint64) bool {
	if r.err == nil {
		r.err = r.window.extend(end)
	}
	return r.err == nil
}

// Err returns the error after which the ring cannot be read any more, or nil.
func (r *Ring) Err() error { return r.err }

// Take goes past the record that Peek has returned.
func (r *Ring) Take() { r.pos = r.after }

// Release gives the memory of all records returned so far back to the kernel.
func (r *Ring) Release() { r.consumer.Store(r.pos) }

// Trim unmaps the released part of the ring. That costs time, and so does the next read.
func (r *Ring) Trim() {
	if r.err == nil {
		r.err = r.window.shrink(r.consumer.Load())
	}
}

// Close unmaps the buffer. Nothing that Next returned may be used any longer.
func (r *Ring) Close() error {
	return errors.Join(r.waiter.close(), r.munmap())
}

func (r *Ring) munmap() error {
	var errs []error
	if r.err == nil { // otherwise something else may be mapped there
		errs = append(errs, r.window.close())
	}
	for _, m := range []*[]byte{&r.consumerPage, &r.producerPage} {
		if *m != nil {
			errs = append(errs, unix.Munmap(*m))
			*m = nil
		}
	}
	return errors.Join(errs...)
}

// Unread returns how many bytes of records Next has not returned yet, those included that are being written.
func (r *Ring) Unread() uint64 { return r.producer.Load() - r.pos }

// Busy reports whether there are records that the kernel has begun and not finished.
func (r *Ring) Busy() bool { return r.pos < r.producer.Load() }
