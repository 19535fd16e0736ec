// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"regexp"
	"sync"

	"github.com/gizmo-ebpf/gizmo/test/vm/lines"
)

// startsTest reports whether a line only says that a test has begun, or goes on.
func startsTest(line []byte) bool {
	return bytes.HasPrefix(line, []byte("=== "))
}

// turns combines the outputs of several machines, the whole output of a suite at once.
type turns struct {
	mu  sync.Mutex
	out io.Writer
}

// suiteEnded is the line that comes after a suite.
var suiteEnded = regexp.MustCompile(`^(ok  |FAIL)\t`)

// writer returns a writer for one machine. Closing it writes the output after the last complete suite.
func (t *turns) writer() io.WriteCloser {
	w := &turn{turns: t}
	w.Line = func(line []byte) {
		w.held = append(w.held, line...)
		if suiteEnded.Match(line) {
			w.release()
		}
	}
	return w
}

type turn struct {
	*turns
	lines.Writer
	held []byte
	err  error // the first of writing
}

func (w *turn) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err == nil {
		err = w.err
	}
	return n, err
}

func (w *turn) Close() error {
	w.held = append(w.held, w.Rest...)
	w.Rest = nil
	w.release()
	return w.err
}

func (w *turn) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.out.Write(w.held); w.err == nil {
		w.err = err
	}
	w.held = w.held[:0]
}

// atOnce is for an output with only one writer.
type atOnce struct{ io.Writer }

func (atOnce) Close() error { return nil }
