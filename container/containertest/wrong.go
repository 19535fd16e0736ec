// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package containertest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
)

// call is one of a client's calls.
type call struct {
	name string
	do   func(ctx context.Context, rt container.Runtime) error
}

func calls() []call {
	return []call{
		{"List", func(ctx context.Context, rt container.Runtime) error {
			_, err := rt.List(ctx)
			return err
		}},
		{"Get", func(ctx context.Context, rt container.Runtime) error {
			_, err := rt.Get(ctx, unusedID)
			return err
		}},
		{"Watch", func(ctx context.Context, rt container.Runtime) error {
			return rt.Watch(ctx, func() {}, func(container.Change) {})
		}},
	}
}

// promptly is how long a call may take to return when its context is done.
const promptly = 100 * time.Millisecond

// endsPromptly checks that a call returns when its context is done. On a busy machine it is enough if one of several tries is
// prompt.
func endsPromptly(t testing.TB, what string, c call, rt *client) {
	t.Helper()
	const tries = 5
	var took time.Duration
	for range tries {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- c.do(ctx, rt) }()
		select {
		case err := <-done:
			cancel()
			t.Fatalf("%s: %s returned %v before its context was done", what, c.name, err)
		case <-time.After(20 * time.Millisecond):
		}
		canceled := time.Now()
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %s returned %v, want that its context was canceled", what, c.name, err)
			}
		case <-time.After(rt.patience):
			t.Fatalf("%s: %s has not returned for %v after its context was done", what, c.name, rt.patience)
		}
		if took = time.Since(canceled); took <= promptly {
			return
		}
	}
	t.Errorf("%s: %s returned %v after its context was done, and was no faster %d times", what, c.name, took, tries)
}

func contextEndsCalls(t testing.TB, c *Case) {
	n, used := c.open(t)
	defer used.closing(t)
	used.list(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, call := range calls() {
		if err := call.do(ctx, used); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a context that is done: %v", call.name, err)
		}
	}
	w := used.watch(t, func() {})
	resume := n.Hang(t)
	defer resume()
	fresh := c.client(n.Socket)
	defer fresh.closing(t)
	for _, call := range calls() {
		endsPromptly(t, "a runtime that hangs", call, used)
		endsPromptly(t, "a runtime that hangs from the beginning", call, fresh)
	}
	canceled := time.Now()
	if err := w.stop(t); !errors.Is(err, context.Canceled) || time.Since(canceled) > atOnce {
		t.Errorf("Watch returned %v, %v after its context was done", err, time.Since(canceled))
	}
}

// maxMemory is how much memory a client may add at any time, whatever the answer.
const maxMemory = 64 << 20

func wrongAnswers(t testing.TB, c *Case) {
	for _, name := range slices.Sorted(maps.Keys(c.Wrong)) {
		wrongAnswer(t, c, name, c.Wrong[name](t))
	}
	folder := Folder(t)
	wrongAnswer(t, c, "no socket", filepath.Join(folder, "none"))
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wrongAnswer(t, c, "a file that is no socket", file)
	wrongAnswer(t, c, "a folder", folder)
	wrongAnswer(t, c, "a long path", filepath.Join(folder, strings.Repeat("long", 30)))
	wrongAnswer(t, c, "a server that hangs up", Serve(t, func(conn net.Conn) {}))
	wrongAnswer(t, c, "a server of another kind", Serve(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("220 mail.example.org ESMTP \x1b[31m\r\n"))
		_, _ = conn.Read(make([]byte, 1))
	}))
	wrongAnswer(t, c, "a server that says too much", Serve(t, func(conn net.Conn) {
		noise := bytes.Repeat([]byte{0xff, 'x', 0, '\x1b'}, 16<<10)
		for range 100 << 20 / len(noise) {
			if _, err := conn.Write(noise); err != nil {
				return
			}
		}
	}))
}

// wrongAnswer checks that each call returns an error, and uses little memory.
func wrongAnswer(t testing.TB, c *Case, what, socket string) {
	t.Helper()
	rt := c.client(socket)
	defer rt.closing(t)
	for _, call := range calls() {
		var err error
		ctx, cancel := context.WithTimeout(context.Background(), rt.patience)
		// What counts is the least of three calls: the rest is garbage that the collector had no time for on a busy machine.
		used := math.MaxInt
		for range 3 {
			if used = min(used, memoryOf(func() { err = call.do(ctx, rt) })); used <= maxMemory {
				break
			}
		}
		switch {
		case err == nil || errors.Is(err, container.ErrUnknown):
			t.Errorf("%s: %s returned %v, want an error", what, call.name, err)
		case ctx.Err() != nil:
			t.Errorf("%s: %s did not return by itself", what, call.name)
		case !strings.Contains(err.Error(), socket):
			t.Errorf("%s: %s does not name the socket: %.300v", what, call.name, err)
		case len(err.Error()) > len(socket)+1024 || strings.Contains(err.Error(), "\x1b"):
			t.Errorf("%s: %s returned an error of %d bytes: %.80q", what, call.name, len(err.Error()), err)
		}
		cancel()
		if used > maxMemory {
			t.Errorf("%s: %s used %d MiB of memory", what, call.name, used>>20)
		}
	}
}

// memoryOf returns how many bytes the memory in use grew, at its peak, while do ran.
func memoryOf(do func()) int {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	inUse := func() int {
		metrics.Read(sample)
		return int(sample[0].Value.Uint64())
	}
	before, most := inUse(), 0
	stop := make(chan struct{})
	var sampler sync.WaitGroup
	sampler.Go(func() {
		for tick := time.NewTicker(time.Millisecond); ; {
			most = max(most, inUse())
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	})
	do()
	close(stop)
	sampler.Wait()
	return most - before
}

// Folder returns a new folder for sockets, whose path is short enough for them. It is removed when the test ends.
func Folder(t testing.TB) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "gizmo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

// Serve calls talk for each connection to a new socket, and closes the connection when talk returns. It ends when the test
// ends.
func Serve(t testing.TB, talk func(net.Conn)) (socket string) {
	t.Helper()
	socket = filepath.Join(Folder(t), "socket")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	open := make(map[net.Conn]bool)
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			running.Go(func() {
				talk(conn)
				mu.Lock()
				defer mu.Unlock()
				delete(open, conn)
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return socket
}
