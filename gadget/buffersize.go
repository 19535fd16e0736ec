// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"fmt"
	"math/bits"
	"os"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/gizmo-ebpf/gizmo/internal/cpus"
)

// The bounds of the size in bytes of a buffer that nobody chose. A burst of all CPUs should fit until
// the reader runs, but the machine is there for others.
const (
	bufferPerCPU = 8 << 20
	minBuffer    = 1 << 20
	maxBuffer    = 256 << 20
	// memoryShare is the part of the memory that a buffer takes at most: one of so many.
	memoryShare = 64
)

// MaxBufferSize is the largest size of a buffer in bytes.
const MaxBufferSize = 1 << 30

// DefaultBufferSize returns the size in bytes of a buffer when the caller names none: 8 MiB for each
// CPU, but at most a 64th of the memory that this process may use, and from 1 to 256 MiB. The sizes
// that gadgets declare were made for other readers; see docs/RATIONALE.md.
func DefaultBufferSize() int {
	online, err := cpus.Online()
	if err != nil {
		return defaultBufferSize(1, memory())
	}
	return defaultBufferSize(len(online), memory())
}

func defaultBufferSize(cpus int, memory uint64) int {
	size := min(uint64(cpus)*bufferPerCPU, memory/memoryShare, maxBuffer)
	return 1 << (bits.Len64(max(size, minBuffer)) - 1) // round down: up might be too much
}

// checkBufferSize refuses a size that the machine, or the limit of this process's control group,
// has not the memory for.
func checkBufferSize(size int, memory uint64) error {
	if size < 0 || size > MaxBufferSize {
		return fmt.Errorf("buffer size: want at most %d bytes, got %d", MaxBufferSize, size)
	}
	if most := memory / 2; uint64(size) > most {
		return fmt.Errorf("buffer size: %d bytes are more than half of the %d bytes of memory that this process may use", size, memory)
	}
	return nil
}

// memory is how many bytes this process may use: what the machine has, or what its control group
// allows it.
func memory() uint64 {
	total, err := memlimit.FromSystem()
	if err != nil || total == 0 {
		total = 1 << 62 // nobody knows: the kernel will tell
	}
	if limit, err := memlimit.FromCgroup(); err == nil && limit > 0 {
		total = min(total, limit)
	}
	return total
}

// bufferSize rounds up to what the kernel takes: a power of two and at least a page.
func bufferSize(size int) uint32 {
	size = min(max(size, os.Getpagesize()), MaxBufferSize)
	return 1 << bits.Len32(uint32(size)-1)
}
