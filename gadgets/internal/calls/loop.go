// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"slices"
	"unsafe"
)

// loopAddress returns the address of loop: all the code of a program, in assembly for each architecture.
// It executes the steps at stepsAddress. Do not call it, only copy it.
func loopAddress() unsafe.Pointer

// loopSize is more than the size of the code; the rest is not reached.
const loopSize = 256

// loopCode returns the code of loop, which is position-independent.
func loopCode() []byte { return slices.Clone(unsafe.Slice((*byte)(loopAddress()), loopSize)) }
