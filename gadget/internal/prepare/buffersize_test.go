// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestDefaultBufferSize(t *testing.T) {
	t.Parallel()
	const mib, gib = 1 << 20, 1 << 30
	for _, c := range []struct {
		cpus   int
		memory uint64
		want   int
	}{
		{1, 16 * gib, 8 * mib},
		{2, 24 * gib, 16 * mib},
		{3, 24 * gib, 16 * mib}, // rounded down
		{64, 512 * gib, 256 * mib},
		{1000, 512 * gib, 256 * mib},
		{64, 1 * gib, 16 * mib}, // a small share of the memory
		{2, 128 * mib, 2 * mib}, // a control group's limit
		{2, 1 * mib, 1 * mib},
	} {
		if got := defaultBufferSize(c.cpus, c.memory); got != c.want {
			t.Errorf("%d CPUs, %d bytes: %d, want %d", c.cpus, c.memory, got, c.want)
		}
	}
	if got := DefaultBufferSize(); got < minBuffer || got > maxBuffer {
		t.Errorf("on this machine: %d", got)
	}
}

func TestBufferSizesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	const mib, gib = 1 << 20, 1 << 30
	for _, c := range []struct {
		size, buffers int
		memory        uint64
		most          int // 0: the size is all right
	}{
		{-1, 1, 64 * gib, MaxBufferSize},
		{MaxBufferSize + 1, 1, 64 * gib, MaxBufferSize},
		{MaxBufferSize, 1, 2 * gib, 0},
		{256 * mib, 1, 512 * mib, 0},
		{256*mib + 1, 1, 512 * mib, 256 * mib},
		{256 * mib, 1, 510 * mib, 128 * mib}, // not half of it
		{129 * mib, 1, 400 * mib, 128 * mib}, // gets 256 MiB
		{100 * mib, 1, 400 * mib, 0},
		{128 * mib, 2, 512 * mib, 0},
		{128 * mib, 3, 512 * mib, 64 * mib}, // each
		{16 * mib, 1, 32 * mib, 8 * mib},    // gizmo takes some itself
		{1 * mib, 1, 8 * mib, 0},            // the smallest size is always allowed
		{2 * mib, 1, 8 * mib, 1 * mib},
		{0, 0, gib, 0}, // no buffer
	} {
		err := checkBufferSize(c.size, c.buffers, c.memory)
		want := fmt.Sprintf("buffer size: want at most %d bytes, got %d", c.most, c.size)
		switch {
		case c.most == 0 && err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.most > 0 && (err == nil || !strings.HasPrefix(err.Error(), want)):
			t.Errorf("%+v: got %v, want %q", c, err, want)
		case c.most > 0 && checkBufferSize(c.most, c.buffers, c.memory) != nil:
			t.Errorf("%+v: refuses the most that it allows", c)
		}
	}
}

// Several buffers that share little memory are smaller than a single one.
func TestDefaultOfSeveralBuffers(t *testing.T) {
	t.Parallel()
	one, err := (&Buffers{Names: []string{"one"}}).size()
	if err != nil || one != DefaultBufferSize() {
		t.Errorf("one: %d, %v; want %d", one, err, DefaultBufferSize())
	}
	if many, err := (&Buffers{Names: make([]string, 1<<20)}).size(); err != nil || many != minBuffer {
		t.Errorf("many: %d, %v; want %d", many, err, minBuffer)
	}
}

// The kernel wants a power of two, and at least a page.
func TestBufferSizesAreRoundedUp(t *testing.T) {
	t.Parallel()
	page := os.Getpagesize()
	for size, want := range map[int]int{
		0: page, 1: page, page: page, page + 1: 2 * page, 1<<20 - 1: 1 << 20, 1 << 20: 1 << 20, 3 << 20: 4 << 20,
		MaxBufferSize - 1: MaxBufferSize, MaxBufferSize: MaxBufferSize,
	} {
		if got := int(bufferSize(size)); got != want {
			t.Errorf("%d: %d, want %d", size, got, want)
		}
	}
}

// There is one perf buffer for each CPU; together they have the size that the caller chose.
func TestPerfBuffersShareTheSize(t *testing.T) {
	t.Parallel()
	page := os.Getpagesize()
	for _, c := range []struct{ size, cpus, want int }{
		{0, 2, PerfBufferSize}, {0, 1000, PerfBufferSize},
		{1 << 20, 1, 1 << 20}, {1 << 20, 2, 1 << 19}, {1 << 20, 3, 1 << 18}, {1 << 20, 1000, page}, {page, 1, page}, {1, 2, page},
	} {
		b := Buffers{Size: c.size}
		if got := b.PerfSize(c.cpus); got != c.want {
			t.Errorf("%d bytes, %d CPUs: %d, want %d", c.size, c.cpus, got, c.want)
		}
	}
}

func TestBufferSizes(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]uint32{
		1: uint32(os.Getpagesize()), 100_000: 128 << 10, 128 << 10: 128 << 10,
		128<<10 + 1: 256 << 10, 1 << 30: 1 << 30, 1<<30 + 1: 1 << 30,
	} {
		if got := bufferSize(size); got != want {
			t.Errorf("%d bytes: %d, want %d", size, got, want)
		}
	}
	for size, want := range map[uint32]uint32{4 << 10: 1 << 10, 1 << 20: 64 << 10, 8 << 20: 256 << 10, 1 << 30: 256 << 10} {
		if got := wakeupBytes(size); got != want {
			t.Errorf("buffer of %d: woken for %d, want %d", size, got, want)
		}
	}
}

func TestDefaultShards(t *testing.T) {
	t.Parallel()
	for cpus, want := range map[int]int{1: 1, 2: 1, 16: 1, 31: 1, 32: 2, 48: 2, 64: 4, 128: 8, 384: 8} {
		if got := defaultShards(cpus); got != want {
			t.Errorf("%d CPUs: %d shards, want %d", cpus, got, want)
		}
	}
}
