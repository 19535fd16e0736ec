// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package flags turns groups of command-line flags into options. Which flags there are depends on the gadget.
package flags
