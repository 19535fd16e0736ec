// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package stdio has what the command line needs of its standard input, output and error.
package stdio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/gizmo-ebpf/gizmo/internal/outlet"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/run"
)

// Messages is standard error. It shows invisible characters as escapes. After a signal to end, it drops messages
// for which there is no room for long.
type Messages struct {
	mu    sync.Mutex
	clean io.WriteCloser
	// Hurry makes it drop messages for which there is no room for long. It is called after a signal to end.
	Hurry func()
}

// NewMessages returns the writer for messages to w.
func NewMessages(w io.Writer) *Messages {
	f, ok := w.(*os.File)
	if !ok {
		return &Messages{clean: plain.Writer(w), Hurry: func() {}}
	}
	p := &patient{out: outlet.New(f, run.DefaultDrainTimeout)}
	return &Messages{clean: plain.Writer(p), Hurry: p.out.Hurry}
}

// Write implements io.Writer. It may be called by several goroutines.
func (m *Messages) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clean.Write(p)
}

// Close writes the bytes of an incomplete character.
func (m *Messages) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clean.Close()
}

// patient writes to an outlet, and waits for it until the outlet was too slow once; then it writes only what fits at once.
type patient struct {
	out  *outlet.Outlet
	left bool // it drops messages, because there was no room for too long
}

// Write implements io.Writer.
func (p *patient) Write(text []byte) (int, error) {
	if p.left {
		return p.out.TryWrite(text)
	}
	n, err := p.out.Write(text)
	p.left = errors.Is(err, outlet.ErrGivenUp)
	return n, err
}

// ErrClosed is the error if gizmo was started without a standard output, as in "gizmo run trace_open >&-".
var ErrClosed = errors.New("standard output is closed; for no output use -o none")

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(s any) bool {
	f, ok := s.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// OpenInput opens a recording, or in, which is standard input, if the path is "-". When ctx is done, reading no longer waits for a pipe's writer or its
// data.
func OpenInput(ctx context.Context, in io.Reader, path string) (io.Reader, func(), error) {
	flags := os.O_RDONLY
	if path == "-" {
		f, ok := in.(*os.File)
		if !ok || !waits(f) {
			return in, func() {}, nil
		}
		path, flags = fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDONLY|unix.O_NONBLOCK
	}
	type opened struct {
		f   *os.File
		err error
	}
	c := make(chan opened, 1)
	go func() { // runs until the program's end if no writer comes
		f, err := os.OpenFile(path, flags, 0)
		c <- opened{f, err}
	}()
	select {
	case o := <-c:
		if o.err != nil {
			return nil, nil, o.err
		}
		stop := context.AfterFunc(ctx, func() {
			if waits(o.f) {
				o.f.Close()
			}
		})
		return o.f, func() { stop(); o.f.Close() }, nil
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("open %s: interrupted", path)
	}
}

// waits reports whether a file is a pipe or a terminal: reading one may wait, and it can be opened again.
func waits(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && (info.Mode()&os.ModeNamedPipe != 0 || IsTerminal(f))
}
