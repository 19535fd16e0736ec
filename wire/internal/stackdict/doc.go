// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package stackdict has the stacks of a recording, and the lines of source of their code: the payloads of frames of stacks and of lines.
// docs/recording-format.md describes the bytes.
package stackdict

// The cost of what a stack needs, which counts against the limit of a recording's values. It approximates the memory of a reader.
const (
	costOfStack    = 96
	costOfAddress  = 16
	costOfLocation = 64
	costOfFunction = 96
	costOfModule   = 192
)

// MaxAddresses is the number of addresses that a stack may have. The kernel's limit is 127, or what the administrator of a machine says.
const MaxAddresses = 4096

// isKernel is the bit of a module's flags that says that it runs in kernel mode.
const isKernel = 1
