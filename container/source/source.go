// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package source makes events of the containers that start and end: a data source for gadgets that ask for it.
package source

import (
	"cmp"
	"context"
	"io"
	"slices"
	"sync"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/bundle"
	"github.com/gizmo-ebpf/gizmo/event"
)

// Options say which containers a source reports.
type Options struct {
	// Set has the containers of the machine.
	Set *container.Set
	// Selector selects containers; nil: all of them.
	Selector *container.Selector
	// Host adds an event for the host, as if it were a container that was created.
	Host bool
}

// mostQueued is the number of changes that may wait for Next. It holds the containers that a node has when a run begins.
const mostQueued = 1 << 16

// Limits of one batch.
const (
	batchRows  = 64
	batchBytes = 1 << 20 // a batch that has as many is full
)

// maxConfig bounds a container's configuration in an event: Docker's have some 10 KB.
const maxConfig = 1 << 20

// Source is a [pipeline.Source] of the data source of containers. It reports nothing before Start.
//
// [pipeline.Source]: https://pkg.go.dev/github.com/gizmo-ebpf/gizmo/pipeline#Source
type Source struct {
	options Options
	schema  *event.Schema
	most    int           // see mostQueued
	wake    chan struct{} // has an element if something was queued

	mu      sync.Mutex
	stop    []func() // ends the subscriptions
	queue   []change
	lost    uint64  // changes that found no room in the queue
	records records // of the last batch; only Next uses it
}

// change is a change of a container that waits to become an event.
type change struct {
	kind kind
	*container.Container
}

// New returns a source.
func New(o Options) *Source {
	return &Source{options: o, schema: Schema(), most: mostQueued, wake: make(chan struct{}, 1)}
}

// Start begins to report: first the containers that the set has, in the order of their runtimes and names, then changes.
func (s *Source) Start() {
	if s.options.Host {
		s.note(change{created, s.options.Set.Host()})
	}
	stopAnnounced := s.options.Set.OnAnnounced(func(id container.Identity) {
		s.note(change{precreate, &container.Container{Identity: id}})
	})
	stop := s.options.Set.Subscribe(s.changed)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop = append(s.stop, stopAnnounced, stop)
}

// changed handles a notice. It never waits for anything but the lock, which is held for moments only.
func (s *Source) changed(n container.Notice) {
	before, after := n.Was != nil && s.options.Selector.Shows(n.Was), !n.Ended && s.options.Selector.Shows(n.Container)
	switch {
	case after && !before:
		s.note(change{created, n.Container})
	case before && !after:
		s.note(change{deleted, n.Container})
	}
}

func (s *Source) note(c change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) >= s.most {
		s.lost++
	} else {
		s.queue = append(s.queue, c)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Schemas implements pipeline.Source.
func (s *Source) Schemas() []*event.Schema { return []*event.Schema{s.schema} }

// Next implements pipeline.Source.
func (s *Source) Next(ctx context.Context, b *event.Batch) error {
	b.Reset(s.schema)
	for {
		if s.fill(b) {
			return nil
		}
		select {
		case <-s.wake:
			continue
		default:
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return s.end(b)
		}
	}
}

// end ends the source: what changes from now on is not reported.
func (s *Source) end(b *event.Batch) error {
	_ = s.Close()
	if s.fill(b) { // a change came before the subscriptions ended
		return nil
	}
	return io.EOF
}

// fill fills a batch with what waits. It returns false if there is nothing.
func (s *Source) fill(b *event.Batch) bool {
	s.records.reset()
	for len(s.records.ends) < batchRows && len(s.records.bytes) < batchBytes {
		c, ok := s.take(b)
		if !ok {
			break
		}
		s.add(c)
	}
	b.Rows = s.records.rows(b.Rows)
	b.More = len(b.Rows) > 0 && s.hasMore()
	return len(b.Rows) > 0 || len(b.Lost) > 0
}

// take takes the first change out of the queue, and reports what was lost.
func (s *Source) take(b *event.Batch) (c change, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost > 0 {
		b.Lost = append(b.Lost, event.Loss{CPU: event.NoCPU, Cause: event.OutputSlow, Count: s.lost})
		s.lost = 0
	}
	if len(s.queue) == 0 {
		s.queue = nil
		return c, false
	}
	c = s.queue[0]
	s.queue[0] = change{}
	s.queue = s.queue[1:]
	return c, true
}

// hasMore reports whether an event is certain to follow. Whether an announced container is selected is known only later.
func (s *Source) hasMore() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost > 0 || slices.ContainsFunc(s.queue, func(c change) bool { return c.kind != precreate })
}

// add makes a record of a change. The files of the container are read here, and not when the change was noted, because
// the set waits for that.
func (s *Source) add(c change) {
	var config []byte
	if c.kind != deleted && c.ID != "" {
		if folder := cmp.Or(c.Bundle, bundle.Find(c.ID)); folder != "" {
			config, _ = bundle.Config(folder) // it may be gone: then the event has none
		}
	}
	if c.kind == precreate {
		c.Container = &container.Container{Identity: bundle.Parse(c.Runtime, c.ID, c.Bundle, config)}
		if !s.options.Selector.Shows(c.Container) {
			return
		}
	}
	if len(config) > maxConfig {
		config = nil
	}
	s.records.add(c, config)
}

// Close implements pipeline.Source.
func (s *Source) Close() error {
	s.mu.Lock()
	stop := s.stop
	s.stop = nil
	s.mu.Unlock()
	for _, f := range stop {
		f()
	}
	return nil
}
