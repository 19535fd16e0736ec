// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hashmap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

func newKernelMap(t *testing.T, kind ebpf.MapType, keySize, valueSize, entries uint32) *ebpf.Map {
	t.Helper()
	kerneltest.RequireRoot(t)
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: kind, KeySize: keySize, ValueSize: valueSize, MaxEntries: entries})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// numbered is an odd number of bytes that begins with n.
func numbered(n, size int) []byte {
	b := bytes.Repeat([]byte{0xee}, size)
	binary.LittleEndian.PutUint32(b, uint32(n))
	return b
}

func TestKernelMaps(t *testing.T) {
	t.Parallel()
	const keySize, valueSize, entries = 5, 13, 5_000
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []ebpf.MapType{ebpf.Hash, ebpf.LRUHash, ebpf.PerCPUHash, ebpf.LRUCPUHash} {
		for _, single := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s single=%v", kind, single), func(t *testing.T) {
				t.Parallel()
				kernel := newKernelMap(t, kind, keySize, valueSize, 4*entries) // LRU maps drop some before they are full
				m, err := New(kernel)
				if err != nil {
					t.Fatal(err)
				}
				m.single = single
				for _, n := range []int{0, 1, entries, 0, 17} {
					perCPU := kind == ebpf.PerCPUHash || kind == ebpf.LRUCPUHash
					fill(t, kernel, n, keySize, valueSize, perCPU, cpus)
					seen := make(map[string]bool)
					if err := m.Take(func(key, value []byte) {
						seen[string(key)] = true
						checkEntry(t, key, value, valueSize, perCPU, cpus)
					}); err != nil {
						t.Fatal(err)
					}
					if len(seen) != n {
						t.Errorf("%d entries, want %d", len(seen), n)
					}
				}
			})
		}
	}
}

func fill(t *testing.T, m *ebpf.Map, n, keySize, valueSize int, perCPU bool, cpus int) {
	t.Helper()
	for i := range n {
		var value any = numbered(i*10, valueSize)
		if perCPU {
			var values [][]byte
			for cpu := range cpus {
				values = append(values, numbered(i*10+cpu, valueSize))
			}
			value = values
		}
		if err := m.Put(numbered(i, keySize), value); err != nil {
			t.Fatal(err)
		}
	}
}

func checkEntry(t *testing.T, key, value []byte, valueSize int, perCPU bool, cpus int) {
	t.Helper()
	n := int(binary.LittleEndian.Uint32(key))
	if !bytes.Equal(key, numbered(n, len(key))) {
		t.Errorf("key %x", key)
	}
	if !perCPU {
		if !bytes.Equal(value, numbered(n*10, valueSize)) {
			t.Errorf("key %d: value %x", n, value)
		}
		return
	}
	if len(value) != cpus*PerCPU(valueSize) {
		t.Fatalf("key %d: %d bytes", n, len(value))
	}
	for cpu := range cpus {
		if got := value[cpu*PerCPU(valueSize):][:valueSize]; !bytes.Equal(got, numbered(n*10+cpu, valueSize)) {
			t.Errorf("key %d, CPU %d: value %x", n, cpu, got)
		}
	}
}

// In a tiny map all entries can be in one bucket.
func TestKernelMapOfOneEntry(t *testing.T) {
	t.Parallel()
	kernel := newKernelMap(t, ebpf.Hash, 4, 4, 1)
	m, err := New(kernel)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, kernel, 1, 4, 4, false, 0)
	if got, err := take(t, m); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestOtherMapsAreRefused(t *testing.T) {
	t.Parallel()
	if _, err := New(newKernelMap(t, ebpf.Array, 4, 4, 1)); err == nil {
		t.Error("an array cannot be emptied")
	}
}
