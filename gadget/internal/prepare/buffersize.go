// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"fmt"
	"math/bits"
	"os"

	"github.com/gizmo-ebpf/gizmo/internal/cpus"
	"github.com/gizmo-ebpf/gizmo/internal/memory"
)

// The bounds of the size in bytes of a buffer where the caller chose none. A burst of all CPUs should fit until
// the reader runs, but the machine is there for others.
const (
	bufferPerCPU = 8 << 20
	minBuffer    = 1 << 20
	maxBuffer    = 256 << 20
	// memoryShare is the divisor of the memory that a buffer takes at most.
	memoryShare = 64
	// ownMemory is the memory that gizmo needs beside the buffers, even in a storm.
	ownMemory = 24 << 20
)

// MaxBufferSize is the largest size of a buffer in bytes.
const MaxBufferSize = 1 << 30

// DefaultBufferSize returns the size in bytes of a buffer when the caller names none: 8 MiB for each
// CPU, but at most a 64th of the memory that this process may use, and from 1 to 256 MiB. The sizes
// that gadgets declare were made for other readers; see docs/RATIONALE.md.
func DefaultBufferSize() int { return defaultBufferSize(onlineCPUs(), memory.Available()) }

func onlineCPUs() int {
	online, err := cpus.Online()
	if err != nil {
		return 1
	}
	return len(online)
}

func defaultBufferSize(cpus int, memory uint64) int {
	size := min(uint64(cpus)*bufferPerCPU, memory/memoryShare, maxBuffer)
	return roundDown(max(size, minBuffer)) // up might be too much
}

// size returns the size in bytes that each buffer gets. Where the caller chose none it is less if they
// share little memory.
func (b *Buffers) size() (int, error) {
	buffers := len(b.Names)
	if b.Size == 0 {
		return defaultBufferSize(onlineCPUs(), memory.Available()/uint64(max(buffers, 1))), nil
	}
	return b.Size, checkBufferSize(b.Size, buffers, memory.Available())
}

// checkBufferSize refuses a size for which the machine, or the limit of this process's control group,
// does not have enough memory. It leaves half of the memory to others, because the kernel kills processes of a group
// that has used up its memory.
func checkBufferSize(size, buffers int, memory uint64) error {
	if size < 0 || size > MaxBufferSize {
		return fmt.Errorf("buffer size: want at most %d bytes, got %d", MaxBufferSize, size)
	}
	most := max(min(memory/2, memory-min(memory, ownMemory))/uint64(max(buffers, 1)), minBuffer)
	if uint64(bufferSize(size)) > most {
		return fmt.Errorf("buffer size: want at most %d bytes, got %d: this process may use %d bytes of memory, for itself and all buffers (%d)",
			roundDown(most), size, memory, buffers)
	}
	return nil
}

// roundDown returns the greatest power of two up to n.
func roundDown(n uint64) int { return 1 << (bits.Len64(n) - 1) }

// PerfBufferSize is the size in bytes of each CPU's perf buffer where the caller chose none.
const PerfBufferSize = 1 << 20

// PerfSize returns the size in bytes of the perf buffer of each CPU: the CPUs share the size that the caller chose.
func (b *Buffers) PerfSize(cpus int) int {
	if b.Size == 0 {
		return PerfBufferSize
	}
	return roundDown(uint64(max(b.Size/cpus, os.Getpagesize())))
}

// bufferSize rounds up to a size that the kernel accepts: a power of two and at least a page.
func bufferSize(size int) uint32 {
	size = min(max(size, os.Getpagesize()), MaxBufferSize)
	return 1 << bits.Len32(uint32(size)-1)
}
