// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package again runs tests that failed in CI once more, by themselves: docs/testing.md says why. It is for compiled tests; scripts/go-test.sh
// does the same where "go test" runs them.
package again

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/test/vm/lines"
)

// most is how many tests may fail and run again.
const most = 2

// argRun is the flag of compiled tests that selects some.
const argRun = "-test.run="

// testFailed matches the line of a test, or of a part of one, that has failed.
var testFailed = regexp.MustCompile(`^ *--- FAIL: (\S+) \(`)

// Run calls run with the arguments of a compiled test, and in CI once more for each test that failed, if these are few. run
// writes the output to out and returns how the program ended. Run returns the last end.
func Run(ci bool, argv []string, out io.Writer, run func(argv []string, out io.Writer) (*os.ProcessState, error)) (*os.ProcessState, error) {
	var all []string // that failed
	failures := &lines.Writer{Line: func(line []byte) {
		if m := testFailed.FindSubmatch(line); m != nil {
			all = append(all, string(m[1]))
		}
	}}
	state, err := run(argv, io.MultiWriter(out, failures))
	const testsFailed = 1 // a panic is 2
	if err != nil || !ci || state.ExitCode() != testsFailed {
		return state, err
	}
	failed := leaves(all)
	if len(failed) == 0 || len(failed) > most {
		return state, nil
	}
	for _, name := range failed {
		fmt.Fprintf(out, "# once more: %s\n", name)
		if state, err = run(selecting(argv, name), out); err != nil || !state.Success() {
			return state, err
		}
	}
	fmt.Fprintf(out, "UNSTEADY: failed once and passed when it ran again, find out why: %s\n", strings.Join(failed, ", "))
	return state, nil
}

// selecting returns the arguments to run one test.
func selecting(argv []string, name string) []string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	argv = slices.DeleteFunc(slices.Clone(argv), func(a string) bool { return strings.HasPrefix(a, argRun) })
	return slices.Insert(argv, 1, argRun+strings.Join(parts, "/"))
}

// leaves are the tests that failed without those that failed because of a part.
func leaves(all []string) (list []string) {
	for _, name := range all {
		if !slices.ContainsFunc(all, func(other string) bool { return strings.HasPrefix(other, name+"/") }) {
			list = append(list, name)
		}
	}
	return list
}
