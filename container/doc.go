// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package container knows the containers of this machine: their namespaces, the names that their runtimes give them, and
// when they began and ended.
//
// A [Set] has the containers by their namespaces. A [Keeper] keeps it current: it asks each [Runtime] for its containers, and
// the runtime reports starts and ends. A [Selector] chooses containers. Package container/runtimes has the
// clients of the supported runtimes.
package container
