// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"regexp"

	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// CompileError says that the compiler rejected a gadget's source.
type CompileError struct {
	// Source is the path of the C file.
	Source string
	// Output is the output of the compiler. Only characters that could affect a terminal, and invisible
	// characters, are escaped.
	Output string
	// Hint says what the user can do, if that is known.
	Hint string
	// Err is how the compiler ended.
	Err error
}

// Error gives the compiler's first complaint; Output has them all.
func (e *CompileError) Error() string {
	what := e.Err.Error()
	if first := firstComplaint.FindString(e.Output); first != "" {
		what = first
	}
	if e.Hint != "" {
		what += ": " + e.Hint
	}
	return plain.Text(fmt.Sprintf("cannot compile %s: %s", e.Source, what))
}

// Unwrap returns how the compiler ended.
func (e *CompileError) Unwrap() error { return e.Err }

var (
	firstComplaint = regexp.MustCompile(`(?m)^.*\berror: .*$`)
	noLibbpf       = regexp.MustCompile(`error: '(bpf/[^']+)' file not found`)
	noBPF          = regexp.MustCompile(`(?i)no available targets are compatible|unknown target triple 'bpf`)
)

func newCompileError(source string, output []byte, err error) *CompileError {
	e := &CompileError{Source: source, Output: string(output), Err: err}
	switch {
	case noLibbpf.Match(output):
		e.Hint = "libbpf's headers are not installed (Debian, Ubuntu: apt-get install libbpf-dev; " +
			"Fedora: dnf install libbpf-devel; Alpine: apk add libbpf-dev)"
	case noBPF.Match(output):
		e.Hint = "this clang was built without BPF, " + installClang
	}
	return e
}
