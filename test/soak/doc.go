// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package soak holds a test that runs gizmo under a load for as long as it is told, and fails if anything grows, if the account of
// a run does not close, or if a run leaves anything behind. It has no code except tests. docs/testing.md describes what runs and the
// bounds.
//
//	make soak                       10 minutes, or SECONDS=60
//	go test ./test/soak             15 seconds, and the tests of what the test finds
package soak
