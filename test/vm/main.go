// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command vm is the lab: it runs the tests that need a kernel on another kernel than this machine's, in
// a virtual machine, and checks that each gadget has run on one of the two.
//
//	go run ./test/vm [flags] [KERNEL]
//
// KERNEL is a file (a bzImage, with its modules beside it) or the name of a package of the
// distribution, which is downloaded but not installed. Without it the lab uses the newest installed kernel,
// or else the distribution's. See docs/testing.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// options are those of the command line.
type options struct {
	kernel string
	// run selects tests by name; empty: all that the lab is for.
	run string
	// command is run by a shell in place of tests.
	command string
	record  bool
	// page is a file for the table of hooks.
	page    string
	verbose bool
	timeout time.Duration
	accel   string
}

func main() {
	runtime.LockOSThread() // qemu ends with the thread that started it
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parseOptions(os.Args[1:])
	if err == nil {
		err = run(ctx, o, os.Stdout)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "vm:", err)
		stop()
		os.Exit(1)
	}
}

func parseOptions(args []string) (*options, error) {
	o := new(options)
	fs := flag.NewFlagSet("vm", flag.ContinueOnError)
	fs.StringVar(&o.run, "run", "", "run only the tests that match this `regexp`, and do not ask whether all gadgets were tested")
	fs.StringVar(&o.command, "exec", "", "run this shell `command` instead of tests")
	fs.BoolVar(&o.record, "record", false, "remake the gadgets' recordings and golden files, or those that -run selects: TestReplayOfRecordings/NAME")
	fs.StringVar(&o.page, "hooks", "", "write the page about the gadgets' hooks to this `file`")
	fs.BoolVar(&o.verbose, "v", false, "also print when each test starts, and the kernel's messages")
	fs.DurationVar(&o.timeout, "timeout", 45*time.Minute, "how long a virtual machine may run")
	fs.StringVar(&o.accel, "accel", emulation, "qemu's `accelerator`")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 1 {
		return nil, fmt.Errorf("want only one kernel, but got %q as well", fs.Arg(1))
	}
	o.kernel = fs.Arg(0)
	return o, nil
}
