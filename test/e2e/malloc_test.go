// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strconv"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// The sum of trace_malloc's events, by the rules of its README, is at any time the memory that a process has
// allocated: after the process has freed everything the sum is zero.
func TestMallocAccountCloses(t *testing.T) {
	kerneltest.RequireRoot(t)
	r := runUndisturbed(t, startWorkload(t, "trace_malloc", t.TempDir()))
	accounts := map[string]*memoryAccount{}
	for _, e := range r.events.rows {
		pid := e.get("proc.pid")
		if accounts[pid] == nil {
			accounts[pid] = &memoryAccount{t: t, blocks: map[uint64]bool{}, pages: map[uint64]bool{}}
		}
		accounts[pid].add(e)
	}
	mappings := 0
	for pid, a := range accounts {
		a.settle()
		if len(a.blocks)+len(a.pages) > 0 {
			t.Errorf("process %s still has the allocations %v and the pages %v", pid, a.blocks, a.pages)
		}
		mappings += a.mappings
	}
	if mappings < 15 {
		t.Errorf("%d mappings in all", mappings)
	}
}

// memoryAccount is the memory that a process with one thread has allocated.
type memoryAccount struct {
	t        *testing.T
	blocks   map[uint64]bool // allocations, by their addresses
	pages    map[uint64]bool // mapped pages
	mappings int

	// What the last release removed, in case the release failed.
	block   uint64
	removed []uint64
	missing int // pages that were not there to be taken away
}

// settle is called when a release has come about: its pages have been there.
func (a *memoryAccount) settle() {
	if a.missing > 0 {
		a.t.Errorf("%d pages were released that were not mapped", a.missing)
	}
	a.removed, a.missing = nil, 0
}

func (a *memoryAccount) add(e jsonEvent) {
	addr, size := number(a.t, e.get("addr")), number(a.t, e.get("size"))
	op := e.get("operation")
	if op != "munmap_failed" && op != "mremap" {
		a.settle()
	}
	switch op {
	case "mmap":
		a.mapPages(addr, size)
	case "mremap":
		if addr == 0 {
			a.restore()
		}
		a.settle()
		a.mapPages(addr, size)
	case "munmap", "mremap_unmap":
		a.unmap(addr, size)
	case "munmap_failed":
		a.restore()
	case "free", "realloc_free":
		if addr != 0 && !a.blocks[addr] {
			a.t.Errorf("%s of %#x, which is not allocated", op, addr)
		}
		delete(a.blocks, addr)
		a.block = addr
	default: // hands out
		switch {
		case addr != 0:
			a.blocks[addr] = true
		case op == "realloc" && size > 0 && a.block != 0:
			a.blocks[a.block] = true
		}
		a.block = 0
	}
}

// eachPage calls do for the pages of a range. A page counts if there is a byte of it.
func eachPage(addr, size uint64, do func(page uint64)) {
	const pageSize = 4096
	for page := addr; size > 0 && page-addr < size; page += pageSize {
		do(page / pageSize)
	}
}

func (a *memoryAccount) mapPages(addr, size uint64) {
	if addr == 0 {
		return
	}
	a.mappings++
	eachPage(addr, size, func(page uint64) { a.pages[page] = true })
}

func (a *memoryAccount) unmap(addr, size uint64) {
	eachPage(addr, size, func(page uint64) {
		if a.pages[page] {
			a.removed = append(a.removed, page)
		} else {
			a.missing++
		}
		delete(a.pages, page)
	})
}

func (a *memoryAccount) restore() {
	for _, page := range a.removed {
		a.pages[page] = true
	}
	a.removed, a.missing = nil, 0
}

func number(t *testing.T, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Error(err)
	}
	return n
}
