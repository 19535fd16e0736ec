// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package hashmap takes all entries out of a BPF hash map.
package hashmap

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Map is a hash map that is emptied from time to time. It keeps the memory for that. Only one goroutine may
// use it.
type Map struct {
	table table
	// keySize and valueSize are those of an entry in bytes; where there is a value for each CPU, that of
	// all of them.
	keySize, valueSize int
	max                int // number of entries that the map has room for

	keys, values []byte // of a batch
	single       bool   // the kernel has no batches
}

// table is the kernel's operations on a hash map. All errors are errno values.
type table interface {
	// takeBatch removes entries and writes them to keys and values, which have room for n; it returns their
	// number. The batch begins at the place from (0 for the first of a map); next is where the next one begins.
	takeBatch(from uint32, first bool, keys, values []byte, n int) (next uint32, got int, err error)
	// nextKey writes the key that follows to next; key nil: the first.
	nextKey(key, next []byte) error
	lookup(key, value []byte) error
	remove(key []byte) error
}

// New prepares to empty a map.
func New(m *ebpf.Map) (*Map, error) {
	valueSize := int(m.ValueSize())
	switch m.Type() {
	case ebpf.Hash, ebpf.LRUHash:
	case ebpf.PerCPUHash, ebpf.LRUCPUHash:
		cpus, err := ebpf.PossibleCPU()
		if err != nil {
			return nil, fmt.Errorf("number of CPUs: %w", err)
		}
		valueSize = PerCPU(valueSize) * cpus
	default:
		return nil, fmt.Errorf("the map has the type %s; only hash maps can be emptied", m.Type())
	}
	return newMap(&kernelTable{fd: uint32(m.FD())}, int(m.KeySize()), valueSize, int(m.MaxEntries())), nil
}

// PerCPU is the room that the kernel uses for the value of one CPU: the size rounded up to a multiple of 8.
func PerCPU(valueSize int) int { return (valueSize + 7) &^ 7 }

func newMap(t table, keySize, valueSize, entries int) *Map {
	m := &Map{table: t, keySize: keySize, valueSize: valueSize, max: max(entries, 1)}
	m.reserve(min(max(batchBytes/(keySize+valueSize), minBatch), m.max))
	return m
}

const (
	// batchBytes is about the memory of a batch. Beyond that the calls no longer count beside the
	// copying.
	batchBytes = 256 << 10
	// minBatch is a number of entries that a bucket of a map hardly ever has.
	minBatch = 16
)

func (m *Map) reserve(n int) {
	m.keys, m.values = make([]byte, n*m.keySize), make([]byte, n*m.valueSize)
}

// ValueSize is the length of the values that Take hands out: the value of an entry, or the values of all
// CPUs one after another, each with the room of PerCPU.
func (m *Map) ValueSize() int { return m.valueSize }

// Take removes all entries and calls add for each. The bytes are valid only during the call. Take may or may
// not take entries that are added meanwhile; it takes no entry twice. After an
// error, the entries that add was called for are gone.
func (m *Map) Take(add func(key, value []byte)) error {
	if !m.single {
		err := m.takeBatches(add)
		if !errors.Is(err, errNoBatches) {
			return err
		}
		m.single = true
	}
	return m.takeSingly(add)
}

var errNoBatches = errors.New("the kernel has no batches for this map")

func (m *Map) takeBatches(add func(key, value []byte)) error {
	for place, first := uint32(0), true; ; {
		next, n, err := m.table.takeBatch(place, first, m.keys, m.values, len(m.keys)/m.keySize)
		switch {
		case err == nil, errors.Is(err, unix.ENOENT): // the latter: that was the last
			m.hand(n, add)
		case errors.Is(err, unix.ENOSPC) && len(m.keys) < m.max*m.keySize: // a bucket does not fit
			m.reserve(min(2*len(m.keys)/m.keySize, m.max))
			continue
		case first && isUnknown(err):
			return errNoBatches
		default:
			return fmt.Errorf("take a batch of entries: %w", err)
		}
		if err != nil {
			return nil
		}
		place, first = next, false
	}
}

// isUnknown reports whether the kernel does not know the call (before 5.6), or not for this map.
func isUnknown(err error) bool {
	const notSupported = unix.Errno(524) // ENOTSUPP, which C libraries do not have
	return errors.Is(err, unix.EINVAL) || errors.Is(err, notSupported) || errors.Is(err, unix.EOPNOTSUPP)
}

func (m *Map) hand(n int, add func(key, value []byte)) {
	for i := range n {
		add(m.keys[i*m.keySize:(i+1)*m.keySize], m.values[i*m.valueSize:(i+1)*m.valueSize])
	}
}

// takeSingly is takeBatches in several calls for each entry. The keys are listed first: from a key
// that has been removed the kernel begins again at the first.
func (m *Map) takeSingly(add func(key, value []byte)) error {
	keys, err := m.listKeys()
	if err != nil {
		return err
	}
	value := m.values[:m.valueSize]
	for ; len(keys) > 0; keys = keys[m.keySize:] {
		key := keys[:m.keySize]
		switch err := m.takeOne(key, value); {
		case errors.Is(err, unix.ENOENT): // a program was faster, or it is in the list twice
		case err != nil:
			return err
		default:
			add(key, value)
		}
	}
	return nil
}

func (m *Map) takeOne(key, value []byte) error {
	if err := m.table.lookup(key, value); err != nil {
		return fmt.Errorf("read an entry: %w", err)
	}
	if err := m.table.remove(key); err != nil {
		return fmt.Errorf("remove an entry: %w", err)
	}
	return nil
}

// listKeys returns the keys of the map, one after another, at most as many as the map has room for: if programs
// remove entries the walk restarts, and might never end.
func (m *Map) listKeys() ([]byte, error) {
	keys := m.keys[:0]
	var last []byte
	for len(keys) < m.max*m.keySize {
		keys = append(keys, make([]byte, m.keySize)...)
		err := m.table.nextKey(last, keys[len(keys)-m.keySize:])
		if errors.Is(err, unix.ENOENT) {
			keys = keys[:len(keys)-m.keySize]
			break
		}
		if err != nil {
			return nil, fmt.Errorf("list the keys: %w", err)
		}
		last = keys[len(keys)-m.keySize:]
	}
	m.keys = keys[:cap(keys)]
	return keys, nil
}
