// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gizmo-ebpf/gizmo/build"
)

// buildAll builds the program, the workloads of its gadgets and the tests. An error of one
// does not stop the others.
func (l *lab) buildAll(ctx context.Context, list []suite) error {
	errs := []error{buildGizmo(ctx, l.programs())}
	gadgets, err := gadgetNames()
	errs = append(errs, err)
	for _, name := range gadgets {
		errs = append(errs, buildMain(ctx, "./gadgets/"+name+"/workload", filepath.Join(l.programs(), "workloads", name, "workload")))
	}
	for _, s := range list {
		errs = append(errs, l.buildSuite(ctx, s))
	}
	return errors.Join(errs...)
}

// buildSuite compiles tests, and the gadgets that they would compile themselves.
func (l *lab) buildSuite(ctx context.Context, s suite) error {
	err := goCommand(ctx, "test", "-c", "-vet=off", "-o", filepath.Join(l.programs(), s.testProgram()), "./"+s.pkg)
	if err != nil {
		return err
	}
	for _, pattern := range s.fixtures {
		sources, _ := filepath.Glob(filepath.Join(s.pkg, pattern, "program.bpf.c"))
		for _, source := range sources { // those that do not compile are the business of tests
			_, _ = build.Dir(ctx, filepath.Dir(source), &build.Options{Include: s.headers, Cache: l.builds})
		}
	}
	if s.before == "" {
		return nil
	}
	var out bytes.Buffer
	if err := s.runHere(ctx, l.programs(), s.before, &out); err != nil {
		return fmt.Errorf("%w\n%s", err, &out)
	}
	return nil
}

// gadgetNames lists the folders of gadgets.
func gadgetNames() ([]string, error) {
	dirs, err := filepath.Glob("gadgets/[^_.]*/gadget.yaml")
	for i := range dirs {
		dirs[i] = filepath.Base(filepath.Dir(dirs[i]))
	}
	return dirs, err
}

// buildGizmo does what "make build" does.
func buildGizmo(ctx context.Context, programs string) error {
	objects := errors.Join(
		goCommand(ctx, "run", "./build/gadgets", "-o", "catalog/objects", "gadgets"),
		goCommand(ctx, "run", "./build/gadgets", "-o", "socket/objects", "socket/programs"))
	const begin = "-E github.com/gizmo-ebpf/gizmo/internal/stdstreams.begin"
	return errors.Join(objects, buildMain(ctx, "./cmd/gizmo", filepath.Join(programs, "gizmo"), begin))
}

func buildMain(ctx context.Context, pkg, to string, linkerFlags ...string) error {
	flags := strings.Join(append([]string{"-ldflags=-s -w"}, linkerFlags...), " ")
	return goCommand(ctx, "build", "-trimpath", "-buildvcs=false", flags, "-o", to, pkg)
}

func goCommand(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	_, err := output(cmd)
	return err
}

// output runs a command and returns its output. An error contains the output, too.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, all bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&stdout, &all), &all
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(all.Bytes()))
	}
	return stdout.String(), nil
}
