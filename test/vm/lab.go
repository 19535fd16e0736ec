// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gizmo-ebpf/gizmo/internal/uname"
	"github.com/gizmo-ebpf/gizmo/test/vm/lines"
	"github.com/gizmo-ebpf/gizmo/test/vm/order"
)

// lab is one run of the lab.
type lab struct {
	*options
	kernel *kernel
	dir    string // has the guest's files
	builds string // cache of builds
	out    io.Writer
}

// run does it all.
func run(ctx context.Context, o *options, out io.Writer) error {
	k, err := findKernel(ctx, o.kernel)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gizmo-vm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	builds, err := cacheFolder("builds")
	if err != nil {
		return err
	}
	l := &lab{options: o, kernel: k, dir: dir, builds: builds, out: out}
	if err := l.prepare(ctx); err != nil {
		return err
	}
	switch {
	case o.command != "":
		return l.runCommand(ctx)
	case o.record:
		return l.makeRecordings(ctx)
	}
	return l.test(ctx)
}

// programs is the folder of the programs for guests, queue the folder by which guests share the work.
func (l *lab) programs() string { return filepath.Join(l.dir, order.ProgramsTag) }
func (l *lab) queue() string    { return filepath.Join(l.dir, order.QueueTag) }

func (l *lab) prepare(ctx context.Context) error {
	if err := os.Chmod(l.dir, 0o755); err != nil { // tests also run programs as another user
		return err
	}
	for _, dir := range []string{l.programs(), l.queue()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	return buildMain(ctx, "./test/vm/guest", l.guest())
}

// guest is the program that is the guest's first process.
func (l *lab) guest() string { return filepath.Join(l.dir, "guest") }

func (l *lab) runCommand(ctx context.Context) error {
	cwd, err := os.Getwd()
	if err != nil {
		return err
	}
	command := order.Program{Name: "command", Dir: cwd, Argv: []string{"/bin/sh", "-c", l.command}}
	return l.boot(ctx, &order.Order{Programs: []order.Program{command}}, l.out)
}

// test runs the tests that need a kernel, and compares the results of the gadgets on the two kernels.
func (l *lab) test(ctx context.Context) error {
	list, err := suites(ctx, l.run)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("no test of the lab matches %q", l.run)
	}
	built := l.buildAll(ctx, list) // an error of one does not stop the others
	c := newCoverage()
	here := l.testHere(ctx, c)
	o := new(order.Order)
	for _, s := range list {
		if s.isBuilt(l.programs()) {
			o.Programs = append(o.Programs, s.program(order.Programs, l.run))
		}
	}
	var s slow
	there := l.boot(ctx, o, io.MultiWriter(l.shown(), s.writer(), c.kernel(l.kernel.version)))
	s.report(l.out)
	if l.run != "" {
		return errors.Join(built, here, there)
	}
	return errors.Join(built, here, there, c.report(l.out, l.page))
}

// testHere runs the gadgets on this machine's kernel.
func (l *lab) testHere(ctx context.Context, c *coverage) error {
	version := uname.Release()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			return errors.New("root is needed to test the gadgets on this machine's kernel, too")
		}
		fmt.Fprintf(l.out, "gadgets are not tested on this machine's kernel, %s: that needs root\n", version)
		return nil
	}
	e2e := gadgetSuite()
	if !e2e.isBuilt(l.programs()) {
		return nil
	}
	fmt.Fprintf(l.out, "# this machine's kernel, %s: the gadgets\n", version)
	return e2e.runHere(ctx, l.programs(), cmp.Or(l.run, liveTests), io.MultiWriter(l.shown(), c.kernel(version)))
}

// makeRecordings runs the gadgets whose recordings are to be made in the guest, which may write them.
func (l *lab) makeRecordings(ctx context.Context) error {
	e2e := gadgetSuite()
	if err := l.buildAll(ctx, []suite{e2e}); err != nil {
		return err
	}
	p := e2e.program(order.Programs, cmp.Or(l.run, recordingTests))
	p.Argv = append(p.Argv, "-record")
	return l.boot(ctx, &order.Order{
		Programs: []order.Program{p},
		Writable: map[string]string{"testdata": filepath.Join(p.Dir, "testdata")},
	}, l.shown())
}

// shown takes the output of tests.
func (l *lab) shown() io.Writer {
	if l.verbose {
		return l.out
	}
	return &lines.Writer{Line: func(line []byte) {
		if !startsTest(line) {
			l.out.Write(line)
		}
	}}
}

// cacheFolder makes a folder for files that are kept from one run to the next.
func cacheFolder(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "gizmo-lab", name)
	return dir, os.MkdirAll(dir, 0o700)
}
