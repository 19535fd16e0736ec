// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e holds the tests that run the real program from end to end: each gadget against its
// workload, mistakes of users, signals, full disks and closed pipes, recordings, and the speed
// and size of the program. It has no code except tests.
//
// The tests build the program once, as "make build" does. Tests of the kernel need root and are skipped
// without it; those of replaying and of help texts do not. The lab, test/vm, also runs the tests of the
// kernel on another kernel, with programs that it has built.
//
//	go test ./test/e2e                    all
//	go test ./test/e2e -update            rewrite the golden files
//	go test ./test/e2e -record            remake the recordings and their golden files; needs root
//	go test ./test/e2e -programs FOLDER   use the program and the workloads there
//
// # Workloads
//
// Each gadget has a workload: a program in the folder gadgets/NAME/workload that causes events of
// its gadget and lists them. The tests find gadgets by their folders, so they test a new one as
// soon as its folder exists; then run "go test ./test/e2e -record -run
// TestReplayOfRecordings/NAME" for its golden files. The tests run a workload as root with one argument, the
// path of a new, empty folder, which is also its current folder. The workload does, in this order:
//
//  1. prepare everything that would itself cause events: files, pipes, threads;
//  2. print one line, {"ready":true,"pid":PID}. The key "args" may hold more arguments for "gizmo
//     run NAME", and "snapshot":true says that the gadget shows what exists, not what happens;
//  3. wait for a line on standard input. Meanwhile the test starts gizmo, so that it does not see the
//     workload's own start. At the end of the input the workload exits;
//  4. cause the events, and no other event of the gadget, neither itself nor by a descendant;
//  5. print the expected events, one JSON object per line, in the order in which they happened within
//     each thread, and exit with code 0.
//
// The package gadgets/internal/workload has the code that they share.
//
// An expected event has the form in which the json format writes it, and holds the fields that are
// known in advance: the test does not compare fields that it leaves out. It has proc.pid and proc.tid or, if the
// gadget has these, pid and tid. If it has the process 0, because an event has no process that is known, then
// all events without a process count: arguments have to leave out those that others cause.
//
// For a snapshot, the test waits for its end before it writes the line, so the workload prepares everything
// that the gadget should show in step 1 and causes nothing in step 4.
//
// If a gadget prints arrays, snapshot or not, the test compares the rows of all arrays together, in any
// order. A map iterator's workload gives arguments that make the interval long, so
// that all counts are in the one array that is flushed at the end. A row of one of the workload's
// processes that it does not list is an error. If the gadget's rows have neither proc.pid nor pid,
// the expected rows have none either, and then there may be other rows as well.
//
// A gadget that has only built-in data sources compares readings, so the test waits for its first array before the workload causes anything.
//
// # Hooks
//
// A gadget may need a hook that the kernel lacks. The tests find out which hooks a gadget needs from its
// object and gadget.yaml, and what the kernel offers from the kernel, without using gizmo. If a hook
// is missing, gizmo has to refuse the gadget with an error that names the hook's kind and target,
// and the workload does not cause events. The test starts the workload before it checks the kernel, so that
// the workload can load the module or mount the file system that the gadget is for.
package e2e
