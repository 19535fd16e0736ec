// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// start starts a program in a folder of the test's.
func start(t *testing.T, p *Program, files ...*os.File) (*Process, error) {
	t.Helper()
	sys, err := FindSystem("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	return Start(p, sys, filepath.Join(t.TempDir(), "program"), "some-calls", files...)
}

// A program gets arguments, memory, other functions and files, and waits before it makes its calls.
func TestCalls(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()

	p := New()
	length := p.Call("strlen", p.Text("seven b"))
	place, address := p.Place()
	p.Call("strtol", p.Text("12"), address, p.Constant(10))
	memory := p.Bytes("cab", 8)
	p.Call("qsort", memory, p.Constant(2), p.Constant(1), p.Function("strcmp")) // "cab" is after "ab"
	written := p.Call("write", p.Constant(3), memory, p.Constant(3))
	p.End()

	proc, err := start(t, p, w)
	if err != nil {
		t.Fatal(err)
	}
	if err := proc.GoOn(); err != nil {
		t.Fatal(err)
	}
	words, identity, err := proc.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if words[length] != 7 || words[written] != 3 || words[place] == 0 {
		t.Errorf("strlen returned %d, write %d, and strtol stored %#x", words[length], words[written], words[place])
	}
	if identity.Comm != "some-calls" || identity.PID != proc.cmd.Process.Pid {
		t.Errorf("the process is %+v", identity)
	}
	got := make([]byte, 3)
	if _, err := r.Read(got); err != nil || string(got) != "acb" {
		t.Errorf("the pipe has %q: %v", got, err)
	}
}

// A program that cannot start is an error.
func TestNoLibrary(t *testing.T) {
	t.Parallel()
	p := New("libthere-is-none.so.1")
	p.End()
	if _, err := start(t, p); err == nil || !strings.Contains(err.Error(), "some-calls does not start") {
		t.Errorf("got %v", err)
	}
}
