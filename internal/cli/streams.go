// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

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

// messages is standard error. It shows what is not plainly visible as escapes. Once the program is told to end, it drops messages
// for which there is no room for long.
type messages struct {
	mu    sync.Mutex
	clean io.WriteCloser
	// hurry has messages left out for which there is no room for long.
	hurry func()
}

func newMessages(w io.Writer) *messages {
	f, ok := w.(*os.File)
	if !ok {
		return &messages{clean: plain.Writer(w), hurry: func() {}}
	}
	p := &patient{out: outlet.New(f, run.DefaultDrainTimeout)}
	return &messages{clean: plain.Writer(p), hurry: p.out.Hurry}
}

// Write implements io.Writer. It may be called by several goroutines.
func (m *messages) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clean.Write(p)
}

// Close writes what waits for the rest of a character.
func (m *messages) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clean.Close()
}

// patient writes to an outlet until that has been given up, and then only what it takes at once.
type patient struct {
	out  *outlet.Outlet
	left bool // messages are dropped: there was no room for too long
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

// errClosed is the error if gizmo was started without a standard output, as in "gizmo run trace_open >&-".
var errClosed = errors.New("standard output is closed; for no output use -o none")

// isTerminal reports whether a stream is a terminal.
func isTerminal(s any) bool {
	f, ok := s.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// openInput opens a recording, or standard input if the path is "-". When ctx is done, it no longer waits for a pipe's writer or its
// data.
func (a *app) openInput(ctx context.Context, path string) (io.Reader, func(), error) {
	flags := os.O_RDONLY
	if path == "-" {
		f, ok := a.In.(*os.File)
		if !ok || !waits(f) {
			return a.In, func() {}, nil
		}
		path, flags = fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDONLY|unix.O_NONBLOCK
	}
	type opened struct {
		f   *os.File
		err error
	}
	c := make(chan opened, 1)
	go func() { // ends only with the program if there is never a writer
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
	return err == nil && (info.Mode()&os.ModeNamedPipe != 0 || isTerminal(f))
}
