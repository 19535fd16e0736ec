// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command gospin keeps a CPU busy in a function with a known name.
package main

var sink int

//go:noinline
func step(n int) {
	for i := range n {
		sink += i
	}
}

// The compiler makes no frame for functions that call nothing. What calls them is then missing from stacks that are found by frame
// pointers: here, between is.
//
//go:noinline
func between() { step(2_000_000) }

//go:noinline
func sorter() { between() }

func main() {
	for {
		sorter()
	}
}
