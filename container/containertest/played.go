// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package containertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
)

// Played has the containers of a simulated runtime. A server reads them and answers in the runtime's protocol.
type Played struct {
	runtime string

	mu         sync.Mutex
	containers []*PlayedContainer
	count      int
	past       []PlayedChange
	changed    chan struct{} // closed and replaced at each change
	hangs      chan struct{} // nil: the runtime answers; closed when it answers again
}

// PlayedContainer is a container of a [Played]. A returned one does not change.
type PlayedContainer struct {
	// Identity is what the runtime reports about the container. The PID is 0 if the container does not run.
	container.Identity
	State PlayedState
	// Locked says that the container is in the middle of its start. Unlocked is closed then.
	Locked   bool
	Unlocked chan struct{}
}

// PlayedState is the state of a container.
type PlayedState int

// The states.
const (
	Created PlayedState = iota
	Running
	Paused
	Ended
)

// PlayedChange is a change of a container, and its time.
type PlayedChange struct {
	container.Change
	// Created says that the container was created, which is neither a start nor an end.
	Created   bool
	Container PlayedContainer
	At        time.Time
}

// The image of all containers.
const (
	PlayedImage   = "example.org/team/busy:1"
	PlayedImageID = "sha256:4444444444444444444444444444444444444444444444444444444444444444"
	PlayedDigest  = "sha256:8888888888888888888888888888888888888888888888888888888888888888"
)

// NewPlayed returns a runtime of a name, without containers.
func NewPlayed(runtime string) *Played {
	return &Played{runtime: runtime, changed: make(chan struct{})}
}

// Neighbour returns the functions that a suite needs, for the runtime that a server plays at a socket. restart ends the server, with its
// connections, and starts it again.
func (p *Played) Neighbour(socket string, restart func()) Neighbour {
	return Neighbour{
		Socket: socket, AnyName: true,
		Create:  func(_ testing.TB, w Wanted) string { return p.create(w) },
		Start:   func(t testing.TB, id string) { p.Begin(t, id)() },
		End:     func(t testing.TB, id string) { p.set(t, id, Ended) },
		Remove:  func(_ testing.TB, id string) { p.remove(id) },
		Pause:   func(t testing.TB, id string) { p.set(t, id, Paused) },
		Begin:   p.Begin,
		Says:    p.says,
		Hang:    func(testing.TB) (resume func()) { return p.hang() },
		Restart: func(testing.TB) { restart() },
	}
}

func (p *Played) create(w Wanted) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	c := &PlayedContainer{Identity: container.Identity{
		Runtime: p.runtime, ID: fmt.Sprintf("%064x", p.count), Name: w.Name, Image: PlayedImage, ImageDigest: PlayedDigest, Labels: w.Labels,
	}}
	p.containers = append(p.containers, c)
	p.note(PlayedChange{Created: true, Container: *c})
	return c.ID
}

// note reports a change. The caller holds the lock.
func (p *Played) note(c PlayedChange) {
	c.ID, c.At = c.Container.ID, time.Now()
	p.past = append(p.past, c)
	close(p.changed)
	p.changed = make(chan struct{})
}

// Begin begins to start a container.
func (p *Played) Begin(t testing.TB, id string) (finish func()) {
	unlocked := make(chan struct{})
	p.edit(t, id, func(c *PlayedContainer) { c.Locked, c.Unlocked = true, unlocked })
	return func() {
		p.set(t, id, Running)
		close(unlocked)
	}
}

// edit replaces a container. The caller's function may also report a change.
func (p *Played) edit(t testing.TB, id string, change func(*PlayedContainer)) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range p.containers {
		if c.ID == id {
			changed := *c
			change(&changed)
			p.containers[i] = &changed
			return
		}
	}
	t.Errorf("there is no container %s", id)
}

func (p *Played) set(t testing.TB, id string, state PlayedState) {
	t.Helper()
	p.edit(t, id, func(c *PlayedContainer) {
		c.State, c.Locked = state, false
		switch state {
		case Running:
			c.PID, c.StartedAt = 1000+p.count, time.Now().Truncate(time.Second)
			p.note(PlayedChange{Container: *c})
		case Ended:
			c.PID, c.StartedAt = 0, time.Time{}
			p.note(PlayedChange{Change: container.Change{Ended: true}, Container: *c})
		}
	})
}

func (p *Played) remove(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.containers = slices.DeleteFunc(p.containers, func(c *PlayedContainer) bool { return c.ID == id })
}

func (p *Played) says(t testing.TB, id string) container.Identity {
	t.Helper()
	for _, c := range p.All() {
		if c.ID == id {
			return c.Identity
		}
	}
	t.Fatalf("there is no container %s", id)
	return container.Identity{}
}

func (p *Played) hang() (resume func()) {
	hangs := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hangs = hangs
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hangs = nil
		close(hangs)
	})
}

// Wait returns when the runtime does not hang, or ctx is done. A server calls it before each answer.
func (p *Played) Wait(ctx context.Context) {
	p.mu.Lock()
	hangs := p.hangs
	p.mu.Unlock()
	if hangs == nil {
		return
	}
	select {
	case <-hangs:
	case <-ctx.Done():
	}
}

// All returns all containers, in the order in which they were created.
func (p *Played) All() []PlayedContainer {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []PlayedContainer
	for _, c := range p.containers {
		all = append(all, *c)
	}
	return all
}

// Follow calls tell for each change after a time, including future ones, until ctx is done.
func (p *Played) Follow(ctx context.Context, since time.Time, tell func(PlayedChange)) {
	for seen := 0; ; {
		p.mu.Lock()
		past, changed := p.past, p.changed
		p.mu.Unlock()
		for ; seen < len(past); seen++ {
			if past[seen].At.After(since) {
				tell(past[seen])
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// Past returns the changes after a time.
func (p *Played) Past(since time.Time) []PlayedChange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.past), func(c PlayedChange) bool { return !c.At.After(since) })
}
