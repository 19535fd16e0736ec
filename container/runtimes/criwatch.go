// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
)

// Watch implements container.Runtime. containerd reports changes by its own events, and CRI-O if its enable_pod_events is
// set. From another runtime Watch reports nothing, and returns when the connection is lost.
//
// Watch does not ask containerd for the events of the interface (GetContainerEvents): containerd before 2.0 gives each of
// them to one client only, so that gizmo would take them away from the kubelet. CRI-O gives them to all clients since 1.28.
func (c *CRI) Watch(ctx context.Context, ready func(), changed func(container.Change)) error {
	ready = sync.OnceFunc(ready) // a runtime may refuse late
	watch := c.watchEvents
	if c.name == "containerd" {
		watch = c.watchContainerd
	}
	if err := watch(ctx, ready, changed); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return c.client.hold(ctx, c.check, ready)
}

// check makes the cheapest call of the interface.
func (c *CRI) check(ctx context.Context) error {
	_, err := c.client.call(ctx, method{name: criService + "Version"}, nil, maxObject)
	return err
}

// watchContainerd watches the events of containerd itself.
func (c *CRI) watchContainerd(ctx context.Context, ready func(), changed func(container.Change)) error {
	return watchTasks(ctx, c.client, kubernetesNamespace, ready, func(e event, isReady bool) {
		switch {
		case !isReady:
		case e.topic == topicStart:
			c.settle(ctx, e)
			changed(container.Change{ID: e.id})
		case e.topic == topicExit:
			changed(container.Change{ID: e.id, Ended: true})
		}
	})
}

// beginning is how long Watch waits for a runtime to begin to send events: the runtime does not say when it does. Watch finds
// changes that the runtime missed nevertheless a second later, except for containers that were removed by then.
const beginning = 20 * time.Millisecond

// watchEvents watches the events of the interface. It returns nil if the runtime has none.
func (c *CRI) watchEvents(ctx context.Context, ready func(), changed func(container.Change)) error {
	seen := criChanges{told: make(map[container.Change]bool)}
	isReady := false
	return c.client.watch(ctx, grpcWatch{
		method: method{name: criService + "GetContainerEvents"},
		confirm: func(ctx context.Context) (err error) {
			if seen.before, err = c.runningIDs(ctx); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return c.client.Explain(ctx, nil)
			case <-time.After(beginning):
				return nil
			}
		},
		ready: func() {
			isReady = true
			ready()
		},
		got: func(message []byte) error {
			change, ok, err := readContainerEvent(message)
			if err != nil {
				return c.client.Explain(ctx, err)
			}
			if ok && seen.add(change) && isReady {
				changed(change)
			}
			return nil
		},
		later: func(ctx context.Context) error {
			now, err := c.runningIDs(ctx)
			if err != nil {
				return err
			}
			for _, change := range seen.compare(now) {
				changed(change)
			}
			return nil
		},
	})
}

// readContainerEvent reads a ContainerEventResponse. It reports false for an event that is neither a start nor an end.
func readContainerEvent(message []byte) (change container.Change, ok bool, err error) {
	const started, stopped = 1, 2
	kind := uint64(0)
	for f, err := range fields(message) {
		if err != nil {
			return change, false, err
		}
		switch f.number {
		case 1:
			change.ID = f.id()
		case 2:
			kind = f.value
		}
	}
	if change.ID == "" {
		return change, false, errNoID
	}
	change.Ended = kind == stopped
	return change, kind == started || kind == stopped, nil
}

// runningIDs returns the ids of the containers and sandboxes that run.
func (c *CRI) runningIDs(ctx context.Context) (map[string]bool, error) {
	sandboxes, containers, err := c.running(ctx)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]bool)
	for _, o := range append(sandboxes, containers...) {
		ids[o.id] = true
	}
	return ids, nil
}

// criChanges finds the changes from before the runtime began to send events. Each container starts once and ends once: the
// kubelet creates another one instead of starting it again.
type criChanges struct {
	before map[string]bool           // what ran when the watch began
	told   map[container.Change]bool // nil after compare
	missed map[container.Change]bool // their events may still come
}

// add notes a change and reports whether it is new.
func (s *criChanges) add(c container.Change) bool {
	if s.told[c] || s.missed[c] {
		return false
	}
	if s.told != nil && len(s.told) < maxObjects {
		s.told[c] = true
	}
	return true
}

// compare returns the changes that were missed, given what runs now.
func (s *criChanges) compare(now map[string]bool) []container.Change {
	s.missed = make(map[container.Change]bool)
	miss := func(c container.Change) {
		if !s.told[c] {
			s.missed[c] = true
		}
	}
	for id := range now {
		if !s.before[id] {
			miss(container.Change{ID: id})
		}
	}
	for c := range s.told {
		if !c.Ended {
			s.before[c.ID] = true
		}
	}
	for id := range s.before {
		if !now[id] {
			miss(container.Change{ID: id, Ended: true})
		}
	}
	s.told, s.before = nil, nil
	return slices.Collect(maps.Keys(s.missed))
}

// maxSettle bounds how long after its start settle waits for a container. containerd 1.6 took 2 to 10 ms on two busy cores.
const maxSettle = 250 * time.Millisecond

// settle waits until the interface, too, says that a container or sandbox has started: containerd's event comes earlier. It
// does not wait for one that started long ago, which may be gone.
func (c *CRI) settle(ctx context.Context, e event) {
	ctx, cancel := context.WithTimeout(ctx, min(maxSettle, maxSettle-time.Since(e.at)))
	defer cancel()
	for wait := time.Millisecond; !c.started(ctx, e.id); wait *= 2 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// started reports whether the interface says that a container or sandbox has started.
func (c *CRI) started(ctx context.Context, id string) bool {
	containers, err := c.listContainers(ctx, appendText(nil, 1, id))
	if err != nil {
		return true // the next call returns the error
	}
	for i := range containers {
		if containers[i].id == id {
			return containers[i].state != containerCreated
		}
	}
	sandboxes, err := c.listSandboxes(ctx, appendText(nil, 1, id))
	return err != nil || len(sandboxes) > 0
}
