// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

// compat is for calls that 64-bit programs cannot make here.
func compat(*thread) error { return nil }
