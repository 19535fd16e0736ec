// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package containertest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
)

// greeting is what the server sends to each client. The client gets the containers from the Played itself.
const greeting = "played\n"

// server lets clients connect to a Played.
type server struct {
	*Played
	mu    sync.Mutex
	conns map[net.Conn]bool
	kept  []net.Conn // connections that a bad client does not close
}

func (s *server) talk(conn net.Conn) {
	s.mu.Lock()
	s.conns[conn] = true
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = conn.Read(make([]byte, 1)) // until the client closes
		cancel()
	}()
	s.Wait(ctx)
	_, _ = conn.Write([]byte(greeting))
	<-ctx.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

func (s *server) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
	}
	clear(s.conns)
}

// reference is a client that passes the suite. Tests of the suite give it faults.
type reference struct {
	socket string
	server *server
	*Played
	bad string

	busy, gaveUp atomic.Bool
}

// newCase returns the case of a client.
func newCase(t *testing.T, bad string) *Case {
	s := &server{Played: NewPlayed("played"), conns: make(map[net.Conn]bool)}
	socket := Serve(t, s.talk)
	return &Case{
		New: func(socket string) container.Runtime {
			return &reference{socket: socket, server: s, Played: s.Played, bad: bad}
		},
		Neighbour: func(testing.TB) Neighbour { return s.Neighbour(socket, s.restart) },
		Wrong: map[string]func(testing.TB) string{"long": func(t testing.TB) string {
			return Serve(t, func(conn net.Conn) { _, _ = io.Copy(conn, strings.NewReader(strings.Repeat("long", 1<<20))) })
		}},
	}
}

func (r *reference) Name() string {
	if r.bad == "no name" {
		return ""
	}
	return "played"
}

func (r *reference) Rank() int {
	if r.bad == "no rank" {
		return 0
	}
	return container.RankHigh
}

func (r *reference) Socket() string {
	if r.bad == "another socket" {
		return "/run/other"
	}
	return r.socket
}

func (r *reference) Close() error {
	if r.bad == "close fails" {
		return errors.New("not closed")
	}
	return nil
}

// connect returns a connection on which the server has said its greeting. It is closed when ctx is done.
func (r *reference) connect(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	if r.bad == "does not end" {
		ctx = context.WithoutCancel(ctx)
	}
	conn, err := d.DialContext(ctx, "unix", r.socket)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.socket, err)
	}
	unhook := context.AfterFunc(ctx, func() { _ = conn.Close() })
	said := make([]byte, len(greeting))
	if r.bad == "reads a line" {
		said, err = bufio.NewReader(conn).ReadBytes('\n')
	} else {
		_, err = io.ReadFull(conn, said)
	}
	unhook()
	switch {
	case ctx.Err() != nil:
		_ = conn.Close()
		return nil, fmt.Errorf("%s: %w", r.socket, ctx.Err())
	case r.bad == "says all" && string(said) != greeting:
		_ = conn.Close()
		return nil, fmt.Errorf("%s: it says %s", r.socket, said)
	case err != nil || string(said) != greeting:
		_ = conn.Close()
		return nil, r.failure(err)
	}
	return conn, nil
}

func (r *reference) failure(err error) error {
	switch r.bad {
	case "no error":
		return nil
	case "does not name the socket":
		return errors.New("it failed")
	case "unknown for all":
		return fmt.Errorf("%s: %w", r.socket, container.ErrUnknown)
	}
	return fmt.Errorf("%s: it is not the runtime, %v", r.socket, err)
}

// ask connects, and hangs up if the client does not keep the connection.
func (r *reference) ask(ctx context.Context) error {
	if r.bad == "one at a time" {
		if !r.busy.CompareAndSwap(false, true) {
			return errors.New("busy")
		}
		defer r.busy.Store(false)
	}
	if r.bad == "gives up" && r.gaveUp.Load() {
		return errors.New("no connection")
	}
	conn, err := r.connect(ctx)
	switch {
	case r.bad == "leaves files":
		r.server.mu.Lock()
		r.server.kept = append(r.server.kept, conn)
		r.server.mu.Unlock()
	case conn != nil:
		_ = conn.Close()
	}
	if r.bad == "leaves goroutines" {
		go time.Sleep(patience)
	}
	return err
}

func (r *reference) List(ctx context.Context) (all []container.Identity, err error) {
	if err := r.ask(ctx); err != nil {
		return nil, err
	}
	for _, c := range r.All() {
		runs := c.State == Running || c.State == Paused && r.bad != "lists no paused"
		if runs || r.bad == "lists all" {
			all = append(all, r.bound(c))
		}
	}
	if r.bad == "lists twice" {
		all = append(all, all...)
	}
	return all, nil
}

func (r *reference) bound(c PlayedContainer) container.Identity {
	id := c.Identity
	cut := func(s string) string { return strings.Clone(s[:min(len(s), MaxText)]) }
	switch r.bad {
	case "cuts no labels":
		return id
	case "cuts late":
		cut = func(s string) string { return strings.Clone(s)[:min(len(s), MaxText)] } // as if it had come from a server
	case "escapes":
		cut = func(s string) string { return strings.ReplaceAll(s[:min(len(s), MaxText)], "\x1b", "?") }
	case "forgets labels":
		id.Labels = nil
	case "forgets the image":
		id.Image = ""
	case "takes the start from now":
		id.StartedAt = time.Now()
	}
	id.Name = cut(id.Name)
	size, labels := 0, make(map[string]string)
	keys := slices.Sorted(maps.Keys(id.Labels))
	if r.bad == "leaves out any" {
		keys = slices.Collect(maps.Keys(id.Labels))
	}
	for _, key := range keys {
		value := cut(id.Labels[key])
		if size += len(key) + len(value); len(key) > MaxText || size > MaxLabels {
			size -= len(key) + len(value)
			continue
		}
		labels[cut(key)] = value
	}
	id.Labels = labels
	if r.bad == "knows no labels" && len(labels) == 0 {
		id.Labels = nil
	}
	return id
}

func (r *reference) Get(ctx context.Context, id string) (found container.Identity, err error) {
	if err := r.ask(ctx); err != nil {
		return found, err
	}
	for _, c := range r.All() {
		if c.ID == id || r.bad == "takes parts of ids" && strings.HasPrefix(c.ID, id) || r.bad == "takes names" && c.Name == id {
			return r.answer(ctx, c)
		}
	}
	switch r.bad {
	case "does not say unknown":
		return found, errors.New("there is none")
	case "shows escapes":
		return found, fmt.Errorf("%s: %w", id, container.ErrUnknown)
	}
	return found, fmt.Errorf("%.80q: %w", id, container.ErrUnknown)
}

func (r *reference) answer(ctx context.Context, c PlayedContainer) (container.Identity, error) {
	switch {
	case c.Locked && r.bad == "waits for the start":
		select {
		case <-c.Unlocked:
		case <-ctx.Done():
			return container.Identity{}, ctx.Err()
		}
	case c.State == Created && r.bad == "knows only what runs":
		return container.Identity{}, container.ErrUnknown
	case c.State == Ended && r.bad == "keeps the process":
		c.PID = 7
	}
	return r.bound(c), nil
}

func (r *reference) Watch(ctx context.Context, ready func(), changed func(container.Change)) error {
	conn, err := r.connect(ctx)
	if err != nil {
		return err
	}
	if conn == nil {
		return nil
	}
	defer conn.Close()
	since := time.Now()
	ready()
	if r.bad == "ready twice" {
		ready()
	}
	if r.bad == "listens late" {
		since = time.Now()
	}
	lost, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	reading.Go(func() {
		_, _ = conn.Read(make([]byte, 1))
		cancel()
	})
	defer reading.Wait()
	defer conn.Close()
	r.Follow(lost, since, func(c PlayedChange) {
		if c.Created || c.Ended && r.bad == "no ends" {
			return
		}
		changed(c.Change)
		if r.bad == "twice" {
			changed(c.Change)
		}
	})
	switch {
	case ctx.Err() != nil && r.bad == "no reason":
		return errors.New("it is over")
	case ctx.Err() != nil:
		return ctx.Err()
	case r.bad == "gives up":
		r.gaveUp.Store(true)
	case r.bad == "no error in the end":
		return nil
	}
	return os.ErrClosed
}
