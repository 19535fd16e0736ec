// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strconv"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// The sum of trace_malloc's events, by the rules of its README, is at any time the memory that a process has
// allocated: after the process has freed everything the sum is zero.
func TestMallocAccountCloses(t *testing.T) {
	kerneltest.RequireRoot(t)
	r := startWorkload(t, "trace_malloc", t.TempDir()).run(t)
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

// With --leaks, the processes that release everything have no row, whatever functions they call and whichever of these fail.
func TestMallocLeavesNothing(t *testing.T) {
	if !walksMaps(t) {
		return
	}
	r := startWorkload(t, "trace_malloc", t.TempDir()).run(t, "--leaks")
	wantSame(t, "what was not released", r.out.String(), "[]\n")
	wantSame(t, "standard error", r.err.String(), "")
	r.wantNothingLeft(t)
}

// walksMaps reports whether the kernel runs programs for the elements of maps, which --leaks needs. Where it forbids them, gizmo must say so.
func walksMaps(t *testing.T) bool {
	t.Helper()
	kerneltest.RequireRoot(t)
	forbidden := kerneltest.MapWalks(t)
	if forbidden == nil {
		return true
	}
	t.Log("the kernel forbids programs for the elements of maps:", forbidden)
	r := run(t, setup{}, "run", "trace_malloc", "--leaks", "-t", "1")
	r.wantExit(t, 1)
	r.wantErr(t, "forbids programs of kind iter/bpf_map_elem")
	return false
}

// runKeeping runs trace_malloc with --leaks for the process of the workload that keeps 50 blocks of 100,000 bytes.
func runKeeping(t *testing.T, args ...string) *watched {
	t.Helper()
	w := startWorkload(t, "trace_malloc", t.TempDir())
	w.Args = []string{"--comm", "malloc-keeps", "--leaks"}
	return w.run(t, args...)
}

// wantLeaks checks the sums of all rows.
func wantLeaks(t *testing.T, rows []jsonEvent, wantBytes, wantBlocks uint64) {
	t.Helper()
	var bytes, blocks uint64
	for _, e := range rows {
		if e.get("proc.comm") != "malloc-keeps" {
			t.Errorf("a row of another process: %s", e)
		}
		bytes += number(t, e.get("bytes"))
		blocks += number(t, e.get("blocks"))
	}
	if bytes != wantBytes || blocks != wantBlocks {
		t.Errorf("%d bytes in %d blocks, want %d in %d", bytes, blocks, wantBytes, wantBlocks)
	}
}

func TestMallocLeaks(t *testing.T) {
	if !walksMaps(t) {
		return
	}
	wantLeaks(t, runKeeping(t).all.rows, 100_000, 50)
	wantLeaks(t, runKeeping(t, "--min-age", "600000").all.rows, 0, 0)
}

// Blocks for which there is no room are counted as lost.
func TestMallocLosesLeaks(t *testing.T) {
	if !walksMaps(t) {
		return
	}
	r := runKeeping(t, "--max-blocks", "10")
	wantLeaks(t, r.all.rows, 10_000, 10)
	if want := "leaks: 61 events produced, 1 delivered, 0 filtered, 60 lost"; !strings.Contains(r.err.String(), want) {
		t.Errorf("standard error %q, want %q", r.err.String(), want)
	}
}

// Either data source is alone in its run, so that a profile has the output to itself.
func TestMallocHasOneDataSource(t *testing.T) {
	if !walksMaps(t) {
		return
	}
	w := startWorkload(t, "trace_malloc", t.TempDir())
	g := start(t, setup{}, "run", "trace_malloc", "--comm", "malloc-keeps", "--leaks", "-o", "folded")
	g.waitAttached(t)
	w.cause(t)
	g.interrupt(t)
	if text := g.out.String(); !strings.HasSuffix(text, " 100000\n") || !strings.HasPrefix(text, "malloc-keeps;") {
		t.Errorf("folded stacks: %q", text)
	}
	for _, args := range [][]string{{"-o", "leaks:json"}, {"--leaks", "-o", "malloc:json"}, {"--leaks=false", "--map-fetch-interval", "leaks:1s"}} {
		g := run(t, setup{}, append([]string{"run", "trace_malloc", "-t", "1"}, args...)...)
		g.wantExit(t, 1)
		if text := g.err.String(); !strings.Contains(text, "there is no data source") {
			t.Errorf("%q: %s", args, text)
		}
	}
}

// Tables at intervals show what is not released yet.
func TestMallocLeaksAtIntervals(t *testing.T) {
	if !walksMaps(t) {
		return
	}
	r := runKeeping(t, "--map-fetch-interval", "1ms")
	lines := strings.Split(strings.TrimSpace(r.out.String()), "\n")
	if len(lines) < 3 {
		t.Fatalf("%d tables", len(lines))
	}
	wantLeaks(t, parseOutput(t, lines[len(lines)-1]).rows, 100_000, 50)
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
