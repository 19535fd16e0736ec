// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package run is the engine: it runs gadgets, and replays recordings.
//
// A run has three steps. [NewPlan] finds out what will happen, and all that is wrong with the [Options], without asking
// the kernel for anything. [Plan.Load] puts the gadgets into the kernel; a plan can be loaded any number of times.
// [Run.Run] attaches them and moves their events until its context is done. Runs of one process share nothing but the
// host that the caller gives them.
package run
