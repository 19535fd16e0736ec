// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e holds the tests that run the real program from end to end: each gadget against its
// workload, what users get wrong, signals, full disks and closed pipes, recordings, and how fast
// and how small the program is. It has no code but tests.
//
// The program is built once, as "make build" does it. Tests of the kernel need root and are skipped
// without; those of replaying and of help texts need nothing. The lab, test/vm, runs those of the
// kernel on another kernel, too, with programs that it has built.
//
//	go test ./test/e2e                    all
//	go test ./test/e2e -update            write the golden files anew
//	go test ./test/e2e -record            make the recordings and their golden files anew; needs root
//	go test ./test/e2e -programs FOLDER   use the program and the workloads there
//
// # Workloads
//
// Each gadget has a workload: a program in the folder gadgets/NAME/workload that causes events of
// its gadget and lists them. The tests find gadgets by their folders, so a new one is tested as
// soon as its folder is there; then run "go test ./test/e2e -record -run
// TestReplayOfRecordings/NAME" for its golden files. A workload is run as root with one argument, the
// path of an empty folder of its own, in which it also starts. It does, in this order:
//
//  1. prepare what would itself cause events: files, pipes, threads;
//  2. print one line, {"ready":true,"pid":PID}. The key "args" may hold more arguments for "gizmo
//     run NAME", and "snapshot":true says that the gadget tells what there is, not what happens;
//  3. wait for a line on standard input. Meanwhile the test starts gizmo, so that the workload's own
//     start is not seen. At the end of the input it exits;
//  4. cause the events, and no other event of the gadget, neither itself nor by a descendant;
//  5. print the expected events, one JSON object a line, in the order in which they happened within
//     each thread, and exit with code 0.
//
// The package gadgets/internal/workload does what is the same in all of them.
//
// An expected event has the shape in which the json format writes it, and holds the fields that can
// be known: what it leaves out is not compared. It has proc.pid and proc.tid.
//
// Of a snapshot the test waits for the end before it writes the line, so the workload prepares all
// that is to be seen in step 1 and causes nothing in step 4.
//
// Where a gadget prints arrays, snapshot or not, their rows are compared in any order, and the rows
// of all arrays together. A map iterator's workload gives arguments that make the interval long, so
// that all it counts is in the one array that is flushed at the end. Rows of the workload's
// processes that it does not list are too many. Where the gadget's rows have neither proc.pid nor pid
// the expected ones have none either, and then others may be there as well.
//
// # Hooks
//
// A gadget may need a hook that the kernel lacks. The tests find out which hooks it has from its
// object and gadget.yaml, and what the kernel offers from the kernel, without asking gizmo. Where one
// is missing, gizmo has to refuse the gadget with an error that names the hook's kind and target,
// and the workload is not asked for events. It is started before the kernel is asked, so that it can
// load the module or mount the file system that the gadget is for.
package e2e
