// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package starts

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Serve is what the guard runs: it watches until the process that started it ends or closes the socket. It calls watching
// once it watches; after that it needs neither CAP_SYS_ADMIN nor other files than those in /proc, and the folders of
// containers.
func Serve(watching func()) error {
	if _, err := unix.GetsockoptInt(socketFD, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
		return errors.New("only gizmo itself starts the process that watches containers")
	}
	socket := os.NewFile(socketFD, "guard")
	defer socket.Close()
	s := &server{socket: socket, waiting: make(map[uint64]chan struct{}), gone: make(chan struct{})}
	w, err := Watch(Options{Creating: s.creating, Created: s.created, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return send(socket, &message{Error: err.Error()})
	}
	if err := send(socket, &message{Watched: Binaries()}); err != nil {
		return errors.Join(err, w.Close())
	}
	watching()
	s.run()
	return w.Close()
}

// server is the guard's side.
type server struct {
	socket *os.File
	gone   chan struct{} // closed when the other process has ended

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan struct{} // by number; closed by the answer
}

// run receives answers until the socket is closed.
func (s *server) run() {
	defer close(s.gone)
	buf := make([]byte, maxMessage)
	for {
		var m message
		if err := receive(s.socket, buf, &m); err != nil {
			return
		}
		s.mu.Lock()
		if answered := s.waiting[m.Number]; answered != nil {
			close(answered)
			delete(s.waiting, m.Number)
		}
		s.mu.Unlock()
	}
}

// creating tells the other process that a container is about to be made. It leaves the message out if the socket is full.
func (s *server) creating(c Start) { _ = send(s.socket, &message{Creating: &c}) }

// created holds a container up until the other process answers. A process that is stopped reads no messages: then the
// container waits until ctx is done, and, once the socket is full, not at all.
func (s *server) created(ctx context.Context, c Start) {
	number, answered := s.expect()
	defer s.forget(number)
	if err := send(s.socket, &message{Number: number, Start: &c}); err != nil {
		return
	}
	select {
	case <-answered:
	case <-s.gone:
	case <-ctx.Done():
	}
}

func (s *server) expect() (number uint64, answered chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	answered = make(chan struct{})
	s.waiting[s.last] = answered
	return s.last, answered
}

func (s *server) forget(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, number)
}
