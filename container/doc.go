// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package container knows the containers of this machine: which namespaces they have, what their runtimes call them, and
// when they began and ended.
//
// A [Set] is what events are compared with. A [Keeper] keeps it current: it asks each [Runtime] for its containers and
// is told of starts and ends. A [Selector] says which containers a user asked for. Package container/runtimes has the
// clients of the runtimes that there are.
package container
