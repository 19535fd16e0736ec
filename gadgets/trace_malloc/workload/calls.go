// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "math"

const (
	page = 4096
	// large is more than glibc and musl keep in their heap: it is mapped, and unmapped when freed.
	large = 1 << 20
	// endless is more than there can be.
	endless = math.MaxInt64 + 1
)

// allFunctions calls each function, with what is ordinary and what is odd.
func allFunctions() *script {
	s := newScript()
	s.heap()
	s.aligned()
	s.mappings()
	s.inner()
	s.failures()
	s.end()
	return s
}

func (s *script) heap() {
	null := s.constant(0)
	a, b := s.malloc(1), s.malloc(1000)
	c := s.malloc(0)
	d := s.allocate("calloc", 3*700, s.constant(3), s.constant(700))
	e := s.allocate("calloc", 0, null, s.constant(8))
	a = s.realloc(a, 5000)
	b = s.realloc(b, 10)
	for _, w := range []word{c, e, a, d, b, null} {
		s.free(w)
	}
}

func (s *script) aligned() {
	s.free(s.posixMemalign(64, 100))
	for _, function := range []string{alignedAlloc, memalign} {
		s.free(s.allocate(function, 2048, s.constant(1024), s.constant(2048)))
	}
	for _, function := range []string{"valloc", "pvalloc"} {
		s.free(s.allocate(function, 10, s.constant(10)))
	}
}

func (s *script) mappings() {
	const readWrite, private, anonymous = 3, 2, 0x20
	null, size, none := s.constant(0), s.constant(3*page), s.constant(math.MaxUint64)
	a := s.allocate("mmap", 3*page, null, size, s.constant(readWrite), s.constant(private|anonymous), none, null)
	s.call("munmap", a, size)
	s.expect("munmap", a, 3*page)
}

// inner calls functions that call others of ours.
func (s *script) inner() {
	null := s.constant(0)
	a := s.realloc(null, 300) // malloc
	s.realloc(a, 0)           // free
	text := s.constant(uint64('m') | uint64('e')<<8)
	copied := s.call("strdup", s.constant(text.address()))
	s.expect("malloc", copied, 3)
	s.free(copied)

	s.expectOwn("mmap")
	b := s.malloc(large)
	s.free(b)
	s.expectOwn("munmap")
}

// failures asks for what there is not. What comes of it has the address 0, a word's initial value.
func (s *script) failures() {
	null, huge := s.constant(0), s.constant(1<<33)
	s.malloc(endless)
	s.allocate("calloc", math.MaxUint64, huge, huge)
	a := s.malloc(20)
	s.realloc(a, endless)
	s.free(a) // is there still
	s.posixMemalign(3, 100)

	s.call("mmap", null, null, null, null, null, null)
	s.expect("mmap", null, 0)
	s.call("munmap", s.constant(1), s.constant(page))
	s.expect("munmap", s.constant(1), page)
}

// manyCalls is for two processes that run at the same time.
func manyCalls() *script {
	s := newScript()
	for i := range uint64(300) {
		a := s.malloc(i)
		b := s.allocate("calloc", i, s.constant(1), s.constant(i))
		s.free(a)
		s.free(b)
	}
	s.end()
	return s
}
