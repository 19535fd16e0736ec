// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package again runs tests that failed in CI once more, by themselves: docs/testing.md says why. It is for compiled tests; scripts/go-test.sh
// does the same where "go test" runs them.
package again

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

// most is how many tests may fail and run again.
const most = 2

// argRun is the flag of compiled tests that selects some.
const argRun = "-test.run="

// Run calls run with the arguments of a compiled test, and in CI once more for each test that failed, if these are few. run
// writes the output to out and returns how the program ended. Run returns the last end.
func Run(ci bool, argv []string, out io.Writer, run func(argv []string, out io.Writer) (*os.ProcessState, error)) (*os.ProcessState, error) {
	var f failures
	state, err := run(argv, io.MultiWriter(out, &f))
	const testsFailed = 1 // a panic is 2
	if err != nil || !ci || state.ExitCode() != testsFailed {
		return state, err
	}
	failed := f.leaves()
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

// failures finds the tests that failed in the output of tests.
type failures struct {
	names []string
	line  []byte // what has come of the last one
}

var testFailed = regexp.MustCompile(`^ *--- FAIL: (\S+) \(`)

func (f *failures) Write(p []byte) (int, error) {
	f.line = append(f.line, p...)
	for {
		line, rest, found := bytes.Cut(f.line, []byte("\n"))
		if !found {
			return len(p), nil
		}
		if m := testFailed.FindSubmatch(line); m != nil {
			f.names = append(f.names, string(m[1]))
		}
		f.line = rest
	}
}

// leaves are the tests that failed without those that failed because of a part.
func (f *failures) leaves() (list []string) {
	for _, name := range f.names {
		if !slices.ContainsFunc(f.names, func(other string) bool { return strings.HasPrefix(other, name+"/") }) {
			list = append(list, name)
		}
	}
	return list
}
