// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package runtimes has the clients of the container runtimes that gizmo knows, a file for each.
package runtimes
