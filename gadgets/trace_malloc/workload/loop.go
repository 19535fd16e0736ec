// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"unsafe"
)

// loop is all the code of a program, in assembly for each architecture. It finds steps at
// stepsAddress and takes one after the other, without end. A step is eight addresses: that of a
// word with a function's address, those of the words with six arguments, and that of the word for
// what the function returns. It is not to be called, only to be copied.
func loop()

// loopAddress returns where loop lies, which is not what Go takes for its address.
func loopAddress() unsafe.Pointer

// loopSize is more than the code has; what follows it is not reached.
const loopSize = 256

// loopCode returns the code of loop, which may lie anywhere.
func loopCode() []byte { return slices.Clone(unsafe.Slice((*byte)(loopAddress()), loopSize)) }
