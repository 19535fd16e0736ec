// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// A program whose functions are looked for. It imports nothing, which makes it quick to build for any
// machine.
package main

type counter int

//go:noinline
func (c *counter) Add(n int) int {
	*c += counter(n)
	return int(*c)
}

//go:noinline
func Double(n int) int { return 2 * n }

func main() {
	var c counter
	println(c.Add(Double(3)))
}
