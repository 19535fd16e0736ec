// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package stdstreams

// begin is where the program begins.
//
//lint:ignore U1000 the linker gets it by name
func begin()
