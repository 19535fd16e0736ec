// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build race

package containertest

const raceDetector = true
