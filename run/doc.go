// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package run is the engine: it runs gadgets, and replays recordings.
//
// A run has three steps. [NewPlan] checks the [Options], returns all errors at once, and decides what the run will do, without
// using the kernel. [Plan.Load] loads the gadgets into the kernel; a plan can be loaded any number of times.
// [Run.Run] attaches them and moves their events until its context is done. Runs of one process share only the
// host that the caller gives them.
package run
