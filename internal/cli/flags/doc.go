// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package flags turns groups of command-line flags into options. The gadget determines some of the flags.
package flags
