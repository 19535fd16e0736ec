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
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/test/vm/again"
	"github.com/gizmo-ebpf/gizmo/test/vm/order"
)

// suite is a package of tests as the lab runs it.
type suite struct {
	// pkg is the package, from the module's root: "test/e2e".
	pkg string
	// run and skip select tests, like the flags of "go test". Without run, the tests of the kernel run.
	// Tests that take too long under emulation are skipped.
	run, skip string
	// fixtures are patterns of the gadgets' folders that the tests compile, from the package's folder.
	// They are compiled beforehand, here, where it takes a tenth of the time.
	fixtures []string
	// headers is the folder that they are compiled against. Empty: those of the program.
	headers string
	// before selects tests that are run here first, because they prepare something for the others.
	before string
	// args returns further arguments of the test program; the folder programs has the files that were built for
	// it.
	args func(programs string) []string
}

// suiteTime is how long a suite may take before it is ended with a trace of its goroutines.
const suiteTime = "30m"

// The tests of gadgets that the lab treats in ways of their own.
const (
	liveTests      = "^TestGadgets$"
	recordingTests = "^TestReplayOfRecordings$"
)

// suites lists the suites for the guests: all, or those with tests that run selects. The longest
// come first, so that all guests are busy until the end.
func suites(ctx context.Context, run string) ([]suite, error) {
	below, err := packagesBelow(ctx, "gadget")
	if err != nil {
		return nil, err
	}
	var list []suite
	for _, pkg := range below { // first of all gadget itself
		// Go's linker, ten thousand processes, a hundred thousand entries: too much for an emulated machine. It has no compiler, either.
		list = append(list, suite{pkg: pkg, skip: "UserGo|ManyTasks|ManyEntries|FiltersOfOthers", fixtures: []string{"testdata/*", "testdata/*/*"}})
	}
	list = slices.Insert(list, min(1, len(list)), suite{
		pkg:      "socket",
		skip:     "Many", // a hundred thousand sockets
		fixtures: []string{"testdata/*"},
	}, suite{
		pkg:    "include/gadget",
		before: "^TestPrograms$",
		args:   func(programs string) []string { return []string{"-objects", filepath.Join(programs, "objects")} },
	}, gadgetSuite(), suite{
		pkg:    "test/wild",
		skip:   "OtherCompiler", // the guest has no compiler
		before: "^TestCorpusBuilds$",
		args: func(programs string) []string {
			return []string{"-objects", filepath.Join(programs, "wild"), "-all-hooks"}
		},
	}, suite{
		// The suites of the clients take too long under emulation.
		pkg:  "test/neighbours",
		run:  "^Test(Docker|Podman|Containerd|CRI|StormOfContainers)$/^gizmo",
		args: func(programs string) []string { return []string{"-programs", programs, "-containers", "10", "-slow"} },
	}, suite{pkg: "test/conformance", fixtures: []string{"gadget"}, headers: "include"}, suite{pkg: "test/packets"},
		suite{pkg: "host/bpfprogs"}, suite{pkg: "host/process"})
	symbols, err := symbolSuites(ctx)
	if err != nil {
		return nil, err
	}
	list = append(list, symbols...)
	for i := range list {
		if list[i].run != "" {
			continue
		}
		tests, err := testsOfTheKernel(list[i].pkg)
		if err != nil {
			return nil, err
		}
		if len(tests) > 0 {
			list[i].run = "^(" + strings.Join(tests, "|") + ")$"
		}
	}
	first, err := regexp.Compile(strings.Split(run, "/")[0]) // the rest selects subtests
	return slices.DeleteFunc(list, func(s suite) bool {
		return s.run == "" || run != "" && err == nil && !s.has(first)
	}), err
}

// has reports whether the suite has tests that match.
func (s suite) has(tests *regexp.Regexp) bool {
	files, _ := filepath.Glob(filepath.Join(s.pkg, "*_test.go"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		for _, m := range testFunction.FindAllSubmatch(text, -1) {
			if err == nil && tests.Match(m[1]) {
				return true
			}
		}
	}
	return false
}

var testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// symbolSuites are those of stacks and their names.
func symbolSuites(ctx context.Context) ([]suite, error) {
	list := []suite{{
		pkg: "test/stacks",
		// Nothing about lines of source depends on the kernel, and programs in Go hardly get to their own functions between the signals with which
		// Go interrupts them.
		skip:   "Lines",
		before: "^TestPrograms$",
		args: func(programs string) []string {
			// An emulated machine takes so long to copy a stack that a higher frequency leaves it no time for the programs.
			return []string{"-programs", filepath.Join(programs, "stacks"), "-for", "30s", "-frequency", "29"}
		},
	}}
	below, err := packagesBelow(ctx, "symbol")
	for _, pkg := range below {
		// A thousand processes a second are too much for an emulated machine.
		list = append(list, suite{pkg: pkg, skip: "Storm"})
	}
	return list, err
}

func gadgetSuite() suite {
	return suite{
		pkg: "test/e2e",
		run: "^Test(Gadgets|Params|TwoRuns|Signals|Kill|SecondInterrupt|EveryLostEvent|RecordWithoutOutput|ClosedPipe|FullDisk|" +
			"SlowPipe|LastLoss|SmallControl|BufferBeyond|SharedControl|SmallestCapabilities|CapabilitiesOfA|CapabilitiesFor|KeepCapabilities|" +
			"TopProcess|TopCPUThrottle|BPFStats|RecordBuiltIn)",
		args: func(programs string) []string { return []string{"-programs", programs} },
	}
}

// packagesBelow lists the packages with tests at and below a folder.
func packagesBelow(ctx context.Context, dir string) ([]string, error) {
	const format = `{{if or .TestGoFiles .XTestGoFiles}}{{.Module.Path}} {{.ImportPath}}{{end}}`
	text, err := output(exec.CommandContext(ctx, "go", "list", "-f", format, "./"+dir+"/..."))
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.Lines(text) {
		module, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		list = append(list, strings.TrimPrefix(path, module+"/"))
	}
	return list, nil
}

// testProgram is the name of the compiled tests.
func (s suite) testProgram() string { return strings.ReplaceAll(s.pkg, "/", "-") + ".test" }

func (s suite) isBuilt(programs string) bool {
	_, err := os.Stat(filepath.Join(programs, s.testProgram()))
	return err == nil
}

// program returns how to run the suite with its programs in the given folder: all tests for the lab, or those that
// run selects.
func (s suite) program(programs, run string) order.Program {
	dir, err := filepath.Abs(s.pkg)
	if err != nil {
		dir = s.pkg
	}
	argv := []string{
		filepath.Join(programs, s.testProgram()), "-test.v", "-test.timeout=" + suiteTime,
		"-test.run=" + cmp.Or(run, s.run), "-test.skip=" + s.skip,
	}
	if s.args != nil {
		argv = append(argv, s.args(programs)...)
	}
	return order.Program{Name: s.pkg, Dir: dir, Argv: argv}
}

// runHere runs tests of the suite on this machine. In CI, tests that failed run again.
func (s suite) runHere(ctx context.Context, programs, run string, out io.Writer) error {
	p := s.program(programs, run)
	once := func(argv []string, out io.Writer) (*os.ProcessState, error) {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = p.Dir, out, out
		err := cmd.Run()
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = ctx.Err()
		}
		return cmd.ProcessState, err
	}
	state, err := again.Run(os.Getenv("CI") == "true", p.Argv, out, once)
	if err == nil && !state.Success() {
		err = errors.New(state.String())
	}
	if err != nil {
		return fmt.Errorf("%s, on this machine: %w", s.pkg, err)
	}
	return nil
}
