// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "math"

const (
	page = 4096
	// large is more than glibc and musl keep in their heap: it is mapped, and unmapped when freed.
	large = 1 << 20
	// huge is more than glibc keeps in its heap, however much of it has been given back.
	huge = 64 << 20
	// endless is more than there can be.
	endless = math.MaxInt64 + 1
)

// allFunctions calls each function, with ordinary and unusual arguments.
func allFunctions() *script {
	s := newScript()
	s.heap()
	s.aligned()
	s.mappings()
	s.remappings()
	s.inner()
	s.resized()
	s.failures()
	s.End()
	return s
}

func (s *script) heap() {
	null := s.Constant(0)
	a, b := s.malloc(1), s.malloc(1000)
	c := s.malloc(0)
	d := s.allocate("calloc", 3*700, s.Constant(3), s.Constant(700))
	e := s.allocate("calloc", 0, null, s.Constant(8))
	a = s.realloc(a, 5000) // too much for where it is
	b = s.realloc(b, 10)
	for _, w := range []word{c, e, a, d, b, null} {
		s.free(w)
	}
}

func (s *script) aligned() {
	s.free(s.posixMemalign(64, 100))
	for _, function := range []string{alignedAlloc, memalign} {
		s.free(s.allocate(function, 2048, s.Constant(1024), s.Constant(2048)))
	}
	for _, function := range []string{"valloc", "pvalloc"} {
		s.free(s.allocate(function, 10, s.Constant(10)))
	}
}

// The flags of mappings.
const (
	readWrite = 3
	shared    = 1
	private   = 2
	anonymous = 0x20
	here      = 0x100000 // and nowhere else

	mayMove   = 1
	fixed     = 2
	dontUnmap = 4
)

func (s *script) mmap(at word, pages, flags uint64) word {
	return s.allocate("mmap", pages*page, at, s.Constant(pages*page), s.Constant(readWrite), s.Constant(flags|anonymous),
		s.Constant(math.MaxUint64), s.Constant(0))
}

func (s *script) munmap(at word, size uint64) {
	s.Call("munmap", at, s.Constant(size))
	s.expect("munmap", at, size)
}

func (s *script) munmapInVain(addr, size uint64) {
	s.munmap(s.Constant(addr), size)
	s.expect("munmap_failed", s.Constant(addr), size)
}

// mremap calls mremap for old memory, and returns the result.
func (s *script) mremap(old word, oldPages, pages, flags uint64, to word) word {
	if oldPages > 0 && flags&dontUnmap == 0 {
		s.expect("mremap_unmap", old, oldPages*page)
	}
	return s.Call("mremap", old, s.Constant(oldPages*page), s.Constant(pages*page), s.Constant(flags), to)
}

func (s *script) remap(old word, oldPages, pages, flags uint64, to word) word {
	addr := s.mremap(old, oldPages, pages, flags, to)
	s.expect("mremap", addr, pages*page)
	return addr
}

func (s *script) remapInVain(old word, oldPages, pages, flags uint64, to word) {
	s.mremap(old, oldPages, pages, flags, to)
	s.expect("mremap", s.Constant(0), pages*page)
}

func (s *script) mappings() {
	s.munmap(s.mmap(s.Constant(0), 3, private), 3*page)
}

// remappings leaves nothing mapped.
func (s *script) remappings() {
	const base = 1 << 36 // where nothing is
	at := func(n uint64) word { return s.Constant(base + n*page) }
	null := s.Constant(0)
	s.mmap(at(0), 4, private|here)
	s.munmap(at(1), page) // in the middle
	s.remap(at(0), 1, 2, 0, null)
	s.remapInVain(at(0), 2, 3, 0, null) // into mapped memory
	a := s.remap(at(0), 2, 3, mayMove, null)
	s.remap(a, 3, 1, 0, null)
	s.remap(a, 1, 1, mayMove|fixed, at(0))
	b := s.remap(at(0), 1, 1, mayMove|dontUnmap, null)
	s.munmap(b, page)
	s.munmapInVain(base+1, page) // of mapped memory
	s.munmap(at(0), page)
	s.remap(at(2), 2, 2, mayMove|fixed, at(4))
	s.mmap(at(8), 1, private|here)
	s.remap(at(4), 2, 1, mayMove|fixed, at(8)) // in the place of the other
	s.munmap(at(8), page)

	c := s.mmap(null, 1, shared)
	d := s.remap(c, 0, 1, mayMove, null) // once more
	s.munmap(c, page)
	s.munmap(d, 1) // all of the page

	s.remapInVain(s.Constant(1), 1, 1, mayMove, null)
	s.remapInVain(at(0), 1, 2, mayMove, null) // of nothing
	e := s.mmap(null, 1, private)
	s.remapInVain(e, 1, 0, mayMove, null)
	s.remapInVain(e, 1, 1, fixed, at(0)) // without mayMove
	s.munmap(e, page)
}

// resized has the C library resize mappings by itself.
func (s *script) resized() {
	s.expectOwn("mmap")
	a := s.malloc(huge)
	for _, size := range []uint64{4 * huge, 2 * huge} {
		a = s.reallocOwn(a, size)
	}
	s.free(a)
	s.expectOwn("munmap")

	s.expectOwn("mmap")
	b := s.allocate("calloc", huge, s.Constant(1), s.Constant(huge))
	b = s.reallocOwn(b, huge-huge/4)
	s.free(b)
	s.expectOwn("munmap")

	c := s.Call("reallocarray", s.Constant(0), s.Constant(3), s.Constant(100))
	s.expect("realloc", c, 300)
	s.expect("realloc_free", c, 0)
	d := s.Call("reallocarray", c, s.Constant(30), s.Constant(1000)) // too much for where it is
	s.expect("realloc", d, 30_000)
	s.free(d)
}

// reallocOwn resizes memory that has its own mapping.
func (s *script) reallocOwn(old word, size uint64) word {
	s.expect("realloc_free", old, 0)
	s.expectOwn("mremap_unmap")
	s.expectOwn("mremap")
	return s.allocate("realloc", size, old, s.Constant(size))
}

// inner calls functions that call others of ours.
func (s *script) inner() {
	null := s.Constant(0)
	a := s.realloc(null, 300) // malloc
	s.realloc(a, 0)           // free
	text := s.Constant(uint64('m') | uint64('e')<<8)
	copied := s.Call("strdup", s.Constant(text.Address()))
	s.expect("malloc", copied, 3)
	s.free(copied)

	s.expectOwn("mmap")
	b := s.malloc(large)
	s.free(b)
	s.expectOwn("munmap")
}

// failures makes allocations that fail. Their result is the address 0, a word's initial value.
func (s *script) failures() {
	null, huge := s.Constant(0), s.Constant(1<<33)
	s.malloc(endless)
	s.allocate("calloc", math.MaxUint64, huge, huge)
	a := s.malloc(20)
	s.realloc(a, endless)
	s.free(a) // still allocated
	s.posixMemalign(3, 100)

	s.realloc(null, endless)
	s.Call("reallocarray", null, huge, huge) // too large to ask for

	s.Call("mmap", null, null, null, null, null, null)
	s.expect("mmap", null, 0)
	s.munmapInVain(1, page)
	s.munmapInVain(page, 0)
	s.munmapInVain(1<<63, page)
}

// manyCalls is for two processes that run at the same time.
func manyCalls() *script {
	s := newScript()
	for i := range uint64(300) {
		a := s.malloc(i)
		b := s.allocate("calloc", i, s.Constant(1), s.Constant(i))
		s.free(a)
		s.free(b)
	}
	s.End()
	return s
}

// keepAll releases little: 50 blocks of 100,000 bytes in all stay.
func keepAll() *script {
	s := newScript()
	s.comm = keeping
	for range 20 {
		s.free(s.malloc(10))
		s.malloc(1000)
	}
	for range 10 {
		s.allocate("calloc", 2000, s.Constant(4), s.Constant(500))
		s.realloc(s.malloc(30), 5000)
		s.posixMemalign(64, 1000)
	}
	s.End()
	return s
}
