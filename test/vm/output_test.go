// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"strings"
	"testing"
)

// The outputs of two machines at the same time appear suite by suite.
func TestTurns(t *testing.T) {
	var out strings.Builder
	all := turns{out: &out}
	a, b := all.writer(), all.writer()
	for _, step := range []struct {
		to   io.Writer
		text string
	}{
		{a, "a1\nFAIL\nok"}, {b, "b1\n"}, {a, "  \ta\t1s\na2\n"}, {b, "b2\nFAIL\tb\t"}, {b, "2s\nb3"}, {a, "a3\n"},
	} {
		if n, err := io.WriteString(step.to, step.text); n != len(step.text) || err != nil {
			t.Fatal(n, err)
		}
	}
	for _, w := range []io.Closer{a, b} {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if want := "a1\nFAIL\nok  \ta\t1s\n" + "b1\nb2\nFAIL\tb\t2s\n" + "a2\na3\n" + "b3"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestTurnsCannotWrite(t *testing.T) {
	w := (&turns{out: fullDisk{}}).writer()
	if _, err := io.WriteString(w, "ok  \ta\n"); err != io.ErrShortWrite {
		t.Errorf("got %v", err)
	}
}
