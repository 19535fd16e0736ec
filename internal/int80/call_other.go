// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !amd64

package int80

import "errors"

const mapLow = 0

// Call must not be called.
func Call(_, _, _, _, _, _ uintptr) uintptr {
	panic("int80: this architecture has no such calls; ask Available first")
}

func try() error { return errors.New("this architecture has no such calls") }
