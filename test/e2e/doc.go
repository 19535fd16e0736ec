// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e holds the tests that run the real program from end to end: each gadget against its
// workload, what users get wrong, signals, full disks and closed pipes, recordings, and how fast
// and how small the program is. It has no code but tests.
//
// The program is built once, as "make build" does it. Tests of the kernel need root and are skipped
// without, those of replaying and of help texts need nothing.
package e2e
