// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// A program in Go whose calls are to be seen: as many of Double as its argument says.
package main

import (
	"fmt"
	"os"
	"strconv"
)

//go:noinline
func Double(n int) int { return 2 * n }

func main() {
	rounds, _ := strconv.Atoi(os.Args[1])
	sum := 0
	for i := range rounds {
		sum += Double(i)
	}
	fmt.Println(sum)
}
