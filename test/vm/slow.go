// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/test/vm/lines"
)

// slow records which tests take long, to help make the lab quicker.
type slow struct {
	tests []timedTest
}

type timedTest struct {
	name    string
	seconds float64
}

const (
	slowSeconds = 10 // from which on a test is worth mentioning
	slowShown   = 8
)

var testEnded = regexp.MustCompile(`^--- (?:PASS|FAIL): (\S+) \(([0-9.]+)s\)`)

// writer takes the output of tests.
func (s *slow) writer() io.Writer {
	return &lines.Writer{Line: func(line []byte) {
		m := testEnded.FindSubmatch(line)
		if m == nil {
			return
		}
		if seconds, err := strconv.ParseFloat(string(m[2]), 64); err == nil && seconds >= slowSeconds {
			s.tests = append(s.tests, timedTest{string(m[1]), seconds})
		}
	}}
}

// report lists the slowest tests.
func (s *slow) report(out io.Writer) {
	slices.SortFunc(s.tests, func(a, b timedTest) int { return cmp.Compare(b.seconds, a.seconds) })
	for _, t := range s.tests[:min(slowShown, len(s.tests))] {
		fmt.Fprintf(out, "# slow: %s, %.0f s\n", t.name, t.seconds)
	}
}
