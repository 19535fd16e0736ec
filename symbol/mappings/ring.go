// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// ringTotal bounds the kernel memory of all rings. 1,000 programs a second write 1 to 2 MB a second in all.
	ringTotal = 8 << 20
	// ringMax is what one ring takes at most: the kernel lets a user without privileges have about as much (kernel.perf_event_mlock_kb).
	ringMax = 512 << 10
	// ringMin is the least that is of use: a record has up to 4 KiB.
	ringMin = 32 << 10
	// maxRecord is the size of the longest record: that of a mapping of a file with the longest path.
	maxRecord = 4096 + 256
	// wakeAfter is how many bytes of records wake the reader. A program that starts writes about 600; so gizmo opens its files
	// while it runs. One wake-up for each record would cost the programs more.
	wakeAfter = 512
)

// ring is the side-band of a CPU.
type ring struct {
	fd      int
	memory  []byte
	meta    *unix.PerfEventMmapPage
	data    []byte
	scratch []byte
	record  rawRecord // the one that read hands out
	last    uint64    // the time of the last record
}

// openRings opens the side-band of the CPUs. If size is 0 it depends on how many they are.
func openRings(online []int, size int) ([]*ring, error) {
	if size == 0 {
		size = min(ringMax, max(ringMin, ringTotal/len(online)))
	}
	size = 1 << (bits.Len(uint(size)) - 1)
	var rings []*ring
	for _, cpu := range online {
		r, err := openRing(cpu, size)
		if errors.Is(err, unix.ENODEV) {
			continue // the CPU has gone meanwhile
		}
		if err != nil {
			closeRings(rings)
			return nil, explainPerf(err)
		}
		rings = append(rings, r)
	}
	if len(rings) == 0 {
		return nil, explainPerf(unix.ENODEV)
	}
	return rings, nil
}

func explainPerf(err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("the kernel does not let gizmo follow what processes map: it takes root, CAP_PERFMON (on some kernels CAP_SYS_ADMIN), or sysctl kernel.perf_event_paranoid=0: %w", err)
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOENT):
		return fmt.Errorf("the kernel has no perf events to follow what processes map: %w", err)
	}
	return fmt.Errorf("follow what processes map: %w", err)
}

func openRing(cpu, size int) (*ring, error) {
	attr := &unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_DUMMY, Size: uint32(binary.Size(unix.PerfEventAttr{})),
		Sample_type: unix.PERF_SAMPLE_TIME,
		// PerfBitMmap asks for executable mappings, PerfBitMmap2 for their inodes as well.
		Bits: unix.PerfBitMmap | unix.PerfBitMmap2 | unix.PerfBitComm | unix.PerfBitCommExec | unix.PerfBitTask |
			unix.PerfBitSampleIDAll | unix.PerfBitUseClockID | unix.PerfBitWatermark,
		Clockid: unix.CLOCK_BOOTTIME, Wakeup: wakeAfter,
	}
	return mapEvent(attr, cpu, size)
}

// mapEvent opens an event of all processes on a CPU.
func mapEvent(attr *unix.PerfEventAttr, cpu, size int) (*ring, error) {
	fd, err := unix.PerfEventOpen(attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("perf_event_open", err)
	}
	page := os.Getpagesize()
	memory, err := unix.Mmap(fd, 0, page+size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	for ; errors.Is(err, unix.EPERM) && size > ringMin; size /= 2 { // more than the user may lock
		memory, err = unix.Mmap(fd, 0, page+size/2, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("mmap a perf buffer", err)
	}
	return &ring{fd: fd, memory: memory, meta: (*unix.PerfEventMmapPage)(unsafe.Pointer(&memory[0])), data: memory[page:]}, nil
}

// read calls each with the records that are there.
func (r *ring) read(each func(*rawRecord)) {
	head, tail := atomic.LoadUint64(&r.meta.Data_head), r.meta.Data_tail
	size := uint64(len(r.data))
	isFull := head-tail > size-maxRecord
	for head-tail >= recordHeader {
		b := r.bytes(tail, recordHeader)
		n := uint64(binary.NativeEndian.Uint16(b[6:]))
		if n < recordHeader || n > head-tail || n > size {
			tail = head // cannot happen: the kernel wrote something else than records
			r.record = rawRecord{kind: recordLost, time: r.last, lost: 1}
			each(&r.record)
			break
		}
		if parseRecord(r.bytes(tail, n), &r.record) {
			if r.record.kind == recordLost {
				r.record.lo = r.last // since when records are missing
			}
			r.last = r.record.time
			each(&r.record)
		}
		tail += n
	}
	atomic.StoreUint64(&r.meta.Data_tail, tail)
	if isFull {
		// The kernel says how many records were lost only when it writes the next one.
		r.record = rawRecord{kind: recordLost, time: r.last, lo: r.last}
		each(&r.record)
	}
}

// bytes returns a part of the ring, a copy if it goes beyond the ring's end.
func (r *ring) bytes(at, n uint64) []byte {
	size := uint64(len(r.data))
	from := at % size
	if from+n <= size {
		return r.data[from : from+n]
	}
	r.scratch = append(r.scratch[:0], r.data[from:]...)
	return append(r.scratch, r.data[:n-(size-from)]...)
}

func closeRings(rings []*ring) {
	for _, r := range rings {
		unix.Munmap(r.memory)
		unix.Close(r.fd)
	}
}
