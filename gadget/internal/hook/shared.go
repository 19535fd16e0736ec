// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"io"
	"sync"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/targets"
)

// place is where a program is attached in a file.
type place struct {
	program string
	// target is the program's target without the file.
	target string
	file   targets.ID
}

// inNetwork is a program that is attached in a network namespace.
type inNetwork struct {
	program string
	inode   uint64
}

// sharedLinks are the attachments of a gadget at places of a kind: one for each place, however many users it has.
type sharedLinks[P comparable] struct {
	mu    sync.Mutex
	links map[P]*sharedLink
}

type sharedLink struct {
	uses int
	// ready is closed once the program is attached, or has failed to be.
	ready chan struct{}
	err   error
	links closers
	// gone is nil until the last user has closed it, and closed when the program is detached.
	gone chan struct{}
}

// attach returns the attachment to a place, which do makes if there is none yet. It belongs to the caller together with others.
func (s *sharedLinks[P]) attach(at P, do func() (closers, error)) (io.Closer, error) {
	for {
		s.mu.Lock()
		l := s.links[at]
		switch {
		case l == nil:
			return s.add(at, do)
		case l.gone != nil: // a second attachment at the same time would make each event twice
			s.mu.Unlock()
			<-l.gone
			continue
		}
		l.uses++
		s.mu.Unlock()
		<-l.ready
		if l.err != nil {
			return nil, l.err
		}
		return &sharedUse[P]{of: s, at: at, link: l}, nil
	}
}

// add attaches to a new place. It releases the lock, which the caller holds: do may take long, or wait forever for a container's file
// system, which others must not notice.
func (s *sharedLinks[P]) add(at P, do func() (closers, error)) (io.Closer, error) {
	l := &sharedLink{uses: 1, ready: make(chan struct{})}
	if s.links == nil {
		s.links = make(map[P]*sharedLink)
	}
	s.links[at] = l
	s.mu.Unlock()
	defer close(l.ready)
	if l.links, l.err = do(); l.err != nil {
		l.err = errors.Join(l.err, l.links.Close())
		s.forget(at)
		return nil, l.err
	}
	return &sharedUse[P]{of: s, at: at, link: l}, nil
}

func (s *sharedLinks[P]) forget(at P) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.links, at)
}

// sharedUse is one of the users of an attachment.
type sharedUse[P comparable] struct {
	of   *sharedLinks[P]
	at   P
	link *sharedLink
}

// Close detaches the program if there is no other user. It is called once.
func (u *sharedUse[P]) Close() error {
	u.of.mu.Lock()
	u.link.uses--
	if u.link.uses > 0 {
		u.of.mu.Unlock()
		return nil
	}
	u.link.gone = make(chan struct{})
	u.of.mu.Unlock()
	err := u.link.links.Close() // without the lock: several at once take no longer than one
	u.of.forget(u.at)
	close(u.link.gone)
	return err
}
