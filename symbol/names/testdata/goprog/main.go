// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command goprog has functions to find.
package main

import (
	"os"
	"sort"
)

type list []int

func (l *list) Len() int           { return len(*l) }
func (l *list) Less(i, j int) bool { return (*l)[i] < (*l)[j] }
func (l *list) Swap(i, j int)      { (*l)[i], (*l)[j] = (*l)[j], (*l)[i] }

//go:noinline
func sorter(l *list) int {
	sort.Sort(l)
	return l.first() + len(*l)
}

// first is small, so that the compiler inlines it.
func (l *list) first() int { return (*l)[0] + len(os.Args) }

//go:noinline
func twice[T int | string](v T) T { return v + v }

func main() {
	l := list{3, len(os.Args), 2}
	os.Exit(twice(sorter(&l)))
}
