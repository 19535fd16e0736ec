// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package names finds the function at an address: of a file that processes map, of the kernel, of the code that a program makes
// while it runs.
//
// The files belong to the programs that are observed, so the package does not trust their contents: it bounds what it
// reads and how long it works, whatever their headers claim. All tables of names share one budget of memory. If it is spent, the table that was
// used least recently goes, and the next look-up in that file reads it again. Text is made once for each function.
//
// A look-up takes an address of code that runs. A return address follows its call, which may be the last instruction of its
// function, so callers look up the address before it.
package names

import (
	"slices"
	"sync"

	"github.com/gizmo-ebpf/gizmo/symbol"
)

// DefaultBudget is how many bytes all tables may take. Those of the 192 largest files of a Debian machine take 7.1 MiB, without the names
// that were looked up.
const DefaultBudget = 8 << 20

// Options say where names come from.
type Options struct {
	// Budget is how many bytes all tables may take together; 0 means DefaultBudget. One table may be larger.
	Budget int64
	// Folders are where debug files are.
	Folders Folders
}

// Files are the files of a run. They are safe for concurrent use.
type Files struct {
	mu      sync.Mutex
	budget  int64
	folders Folders
	used    int64       // bytes of all residents
	now     uint64      // counts uses
	all     []*resident // those that are in memory
}

// NewFiles returns a set without files.
func NewFiles(o Options) *Files {
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	return &Files{budget: o.Budget, folders: o.Folders}
}

// Close forgets all tables and closes the debug files. Files that are still in use read them again.
func (f *Files) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.all) > 0 {
		f.evict(0)
	}
}

// Size returns how many bytes the tables take.
func (f *Files) Size() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used
}

// resident is something in memory that can be made again.
type resident struct {
	bytes   int64
	used    uint64 // when, in uses
	release func()
}

// use notes that a resident was used.
func (f *Files) use(r *resident) {
	f.now++
	r.used = f.now
}

// admit makes a resident one of those that the budget bounds.
func (f *Files) admit(r *resident) {
	f.all = append(f.all, r)
	f.used += r.bytes
	f.use(r)
	f.shrink(r)
}

// grow notes that a resident now takes n bytes more.
func (f *Files) grow(r *resident, n int64) {
	r.bytes += n
	f.used += n
	f.shrink(r)
}

// shrink evicts others until the budget is kept.
func (f *Files) shrink(keep *resident) {
	for f.used > f.budget && len(f.all) > 1 {
		oldest := -1
		for i, r := range f.all {
			if r != keep && (oldest < 0 || r.used < f.all[oldest].used) {
				oldest = i
			}
		}
		if oldest < 0 {
			return
		}
		f.evict(oldest)
	}
}

// remove takes out a resident, if it is in, without releasing it.
func (f *Files) remove(r *resident) {
	if i := slices.Index(f.all, r); i >= 0 {
		f.drop(i)
	}
}

func (f *Files) evict(i int) { f.drop(i).release() }

func (f *Files) drop(i int) *resident {
	r := f.all[i]
	last := len(f.all) - 1
	f.all[i], f.all[last] = f.all[last], nil
	f.all = f.all[:last]
	f.used -= r.bytes
	return r
}

// function makes a function of the name in a table of symbols.
func function(system string) *symbol.Function {
	return &symbol.Function{Name: Demangle(system), System: system}
}
