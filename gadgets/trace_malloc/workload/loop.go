// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"unsafe"
)

// loopAddress returns where loop lies: all the code of a program, in assembly for each architecture.
// It takes the steps at stepsAddress. It is not to be called, only to be copied.
func loopAddress() unsafe.Pointer

// loopSize is more than the code has; what follows it is not reached.
const loopSize = 256

// loopCode returns the code of loop, which may lie anywhere.
func loopCode() []byte { return slices.Clone(unsafe.Slice((*byte)(loopAddress()), loopSize)) }
