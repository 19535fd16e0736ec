// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"testing"
)

// TestStacks reads the same samples in each format: two of a process that go back to main, in which one frame of
// four has no name, and one of another process that does not.
func TestStacks(t *testing.T) {
	want := tallies{
		"tree-fp": {samples: 2, frames: 8, named: 6, whole: 2},
		"tree-py": {samples: 1, frames: 2, named: 1},
	}
	for format, text := range map[string]string{
		"folded":      "tree-fp;[unknown];main;leaf;do_syscall_64_[k] 2\ntree-py;[unknown];leaf 1\n",
		"folded-time": "tree-fp;libc.so.6+0x27249;main;leaf;do_syscall_64_[k] 20000000\ntree-py;[truncated];leaf 10000000\n",
		"bpftrace": `Attaching 1 probe...


@[
    leaf+28
    main+65
    0x7f036c83c06f
, 
    do_syscall_64+113
, tree-fp]: 2
@[
    leaf+28
    0x7ff
, , tree-py]: 1
`,
		"perf": `tree-fp 
	ffffffff81000e06 do_syscall_64
	            126c leaf
	            12b0 main
	           2724a [unknown]

tree-py 
	            126c leaf
	           2724a [unknown]

tree-fp 
	ffffffff81000e06 do_syscall_64
	            126c leaf
	            12b0 main
	           2724a [unknown]

`,
	} {
		got, err := parseStacks(format, []byte(text), 100)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", format, got, err, want)
		}
	}
}

func TestStacksOfKernelOnly(t *testing.T) {
	for format, text := range map[string]string{
		"folded":   "tree-fp;schedule;__schedule 3\n",
		"bpftrace": "@[,\n    __schedule+28\n    schedule+65\n, tree-fp]: 3\n",
	} {
		got, err := parseStacks(format, []byte(text), 100)
		if want := (tallies{"tree-fp": {samples: 3, frames: 6, named: 6}}); err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", format, got, err, want)
		}
	}
}

// TestStacksWithoutFrames: a sample is one also if nothing is known of its stack.
func TestStacksWithoutFrames(t *testing.T) {
	for format, text := range map[string]string{
		"folded":   "tree-fp 3\n",
		"bpftrace": "@[, , tree-fp]: 3\n",
		"perf":     "tree-fp \n\ntree-fp \n\ntree-fp \n\n",
	} {
		got, err := parseStacks(format, []byte(text), 100)
		if err != nil || got["tree-fp"].samples != 3 || got["tree-fp"].named != 0 {
			t.Errorf("%s: got %v, %v, want 3 samples without names", format, got, err)
		}
	}
}

func TestStacksInUnknownFormats(t *testing.T) {
	if _, err := parseStacks("folded", []byte("tree-fp;main many\n"), 100); err == nil {
		t.Error("a value that is no number: no error")
	}
	if _, err := parseStacks("svg", nil, 100); err == nil {
		t.Error("a format that nobody knows: no error")
	}
}

// TestPrograms reads the table that bench comes with.
func TestPrograms(t *testing.T) {
	p, err := readPrograms("tools.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range p.Profilers {
		if _, err := parseStacks(row.Stacks, nil, 100); err != nil {
			t.Errorf("%s: %v", row.Name, err)
		}
	}
	for _, row := range p.Captures {
		if row.Shown.Regexp == nil {
			t.Errorf("%s: it does not say how many packets it shows", row.Name)
		}
	}
	if len(p.Tools) == 0 || len(p.Profilers) == 0 || len(p.Captures) == 0 {
		t.Errorf("got %d tools, %d profilers and %d captures, want some of each", len(p.Tools), len(p.Profilers), len(p.Captures))
	}
}
