// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hashmap

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelTable is a map in the kernel. The library that does all else with maps would make values of Go
// types out of the bytes.
type kernelTable struct {
	fd uint32
	// The arguments of the calls are here so that they need not be allocated.
	batch    batchAttr
	elem     elemAttr
	from, to uint32
}

// batchAttr is the kernel's struct for the commands on many entries.
type batchAttr struct {
	from, to, keys, values unsafe.Pointer
	count, fd              uint32
	elemFlags, flags       uint64
}

// elemAttr is the kernel's struct for the commands on one entry. value is the next key for that
// command.
type elemAttr struct {
	fd         uint32
	_          uint32
	key, value unsafe.Pointer
	flags      uint64
}

func (t *kernelTable) takeBatch(from uint32, first bool, keys, values []byte, n int) (next uint32, got int, err error) {
	t.from, t.to = from, 0
	t.batch = batchAttr{
		from: unsafe.Pointer(&t.from), to: unsafe.Pointer(&t.to),
		keys: unsafe.Pointer(&keys[0]), values: unsafe.Pointer(&values[0]), count: uint32(n), fd: t.fd,
	}
	if first {
		t.batch.from = nil
	}
	err = bpf(unix.BPF_MAP_LOOKUP_AND_DELETE_BATCH, unsafe.Pointer(&t.batch), unsafe.Sizeof(t.batch))
	got = int(t.batch.count)
	t.batch = batchAttr{}
	return t.to, got, err
}

func (t *kernelTable) nextKey(key, next []byte) error {
	return t.element(unix.BPF_MAP_GET_NEXT_KEY, key, next)
}

func (t *kernelTable) lookup(key, value []byte) error {
	return t.element(unix.BPF_MAP_LOOKUP_ELEM, key, value)
}

func (t *kernelTable) remove(key []byte) error {
	return t.element(unix.BPF_MAP_DELETE_ELEM, key, nil)
}

func (t *kernelTable) element(command uintptr, key, value []byte) error {
	t.elem = elemAttr{fd: t.fd, key: unsafe.Pointer(unsafe.SliceData(key)), value: unsafe.Pointer(unsafe.SliceData(value))}
	err := bpf(command, unsafe.Pointer(&t.elem), unsafe.Sizeof(t.elem))
	t.elem = elemAttr{}
	return err
}

func bpf(command uintptr, attr unsafe.Pointer, size uintptr) error {
	if _, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(attr), size); errno != 0 {
		return errno
	}
	return nil
}
