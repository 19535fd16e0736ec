// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package filter_test

// raceDetector says whether the race detector is on.
const raceDetector = false
