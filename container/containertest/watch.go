// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package containertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
)

// watcher is a call of Watch.
type watcher struct {
	patience time.Duration
	cancel   context.CancelFunc
	changes  chan container.Change
	done     chan error
	ready    int // how often ready was called, once done is closed
}

// watch calls Watch, and returns after Watch has called ready.
func (c *client) watch(t testing.TB, ready func()) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{patience: c.patience, cancel: cancel, changes: make(chan container.Change, 1000), done: make(chan error, 1)}
	isReady := make(chan struct{})
	go func() {
		err := c.Watch(ctx, func() {
			ready()
			if w.ready++; w.ready == 1 {
				close(isReady)
			}
		}, func(c container.Change) { w.changes <- c })
		w.done <- err
		close(w.done)
	}()
	select {
	case <-isReady:
	case err := <-w.done:
		cancel()
		t.Fatalf("Watch returned before it was ready: %v", err)
	case <-time.After(w.patience):
		cancel()
		t.Fatalf("Watch is not ready after %v", w.patience)
	}
	return w
}

// want waits for a change of a container, and fails if another change of the same container comes.
func (w *watcher) want(t testing.TB, want container.Change) {
	t.Helper()
	for late := time.After(w.patience); ; {
		select {
		case got := <-w.changes:
			switch {
			case got == want:
				return
			case got.ID == want.ID:
				t.Fatalf("Watch: got %+v, want %+v", got, want)
			}
		case err := <-w.done:
			t.Fatalf("Watch returned: %v", err)
		case <-late:
			t.Fatalf("Watch: %+v has not come after %v", want, w.patience)
		}
	}
}

// stop ends Watch and returns its error.
func (w *watcher) stop(t testing.TB) error {
	t.Helper()
	w.cancel()
	return w.wait(t)
}

// wait waits until Watch returns without being canceled.
func (w *watcher) wait(t testing.TB) error {
	t.Helper()
	defer w.cancel()
	select {
	case err := <-w.done:
		return err
	case <-time.After(w.patience):
		t.Fatalf("Watch has not returned after %v", w.patience)
		return nil
	}
}

func (c *Case) rounds(fast, slow int) int {
	if c.Slow {
		return slow
	}
	return fast
}

func nothingMissed(t testing.TB, c *Case) {
	n, rt := c.open(t)
	defer rt.closing(t)
	for range c.rounds(50, 3) {
		n.with(t, Wanted{"missed", nil}, func(id string) {
			w := rt.watch(t, func() { n.Start(t, id) })
			defer w.stop(t)
			w.want(t, container.Change{ID: id})
			n.End(t, id)
			w.want(t, container.Change{ID: id, Ended: true})
		})
	}
}

// changesComeOnce starts and ends containers while Watch runs. The runtime may end the stream, and Watch then returns the reason, so
// that its caller lists the containers again: podman 4.3 does so if it reads its file of events while another process writes to it. The test
// then begins again.
func changesComeOnce(t testing.TB, c *Case) {
	n, rt := c.open(t)
	defer rt.closing(t)
	const attempts = 3
	for range attempts {
		err := countChanges(t, c, &n, rt)
		if err == nil {
			return
		}
		t.Logf("Watch returned: %v", err)
	}
	t.Errorf("Watch returned %d times before all changes had come", attempts)
}

// countChanges returns the reason why Watch has returned; nil if it has not.
func countChanges(t testing.TB, c *Case, n *Neighbour, rt *client) error {
	t.Helper()
	counts := make(map[container.Change]int)
	ids := make([]string, c.rounds(20, 4))
	w := rt.watch(t, func() {})
	defer w.cancel()
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			ids[i] = n.Create(t, Wanted{fmt.Sprintf("once-%d", i), nil})
			n.Start(t, ids[i])
			n.End(t, ids[i])
			n.Remove(t, ids[i])
		})
	}
	group.Wait()
	// Duplicates come before the changes of the container that is started last, or soon after.
	n.with(t, Wanted{"once-last", nil}, func(id string) {
		ids = append(ids, id)
		n.Start(t, id)
		n.End(t, id)
	})
	last := container.Change{ID: ids[len(ids)-1], Ended: true}
	for late := time.After(rt.patience); counts[last] == 0; {
		select {
		case got := <-w.changes:
			counts[got]++
			// A container of an earlier test may end as late as now.
			if got.Ended && slices.Contains(ids, got.ID) && counts[container.Change{ID: got.ID}] == 0 {
				t.Errorf("Watch: the end of %s came before its start", got.ID)
			}
		case err := <-w.done:
			return err
		case <-late:
			t.Fatalf("Watch: the last change has not come after %v", rt.patience)
		}
	}
	time.Sleep(50 * time.Millisecond)
	for len(w.changes) > 0 {
		counts[<-w.changes]++
	}
	for _, id := range ids {
		starts, ends := counts[container.Change{ID: id}], counts[container.Change{ID: id, Ended: true}]
		if starts != 1 || ends != 1 {
			t.Errorf("Watch: %d starts and %d ends of a container that started once", starts, ends)
		}
	}
	return nil
}

func watchReturns(t testing.TB, c *Case) {
	_, rt := c.open(t)
	defer rt.closing(t)
	w := rt.watch(t, func() {})
	if err := w.stop(t); !errors.Is(err, context.Canceled) {
		t.Errorf("Watch returned %v, want that its context was canceled", err)
	}
	if w.ready != 1 {
		t.Errorf("Watch called ready %d times", w.ready)
	}
}

func comesBack(t testing.TB, c *Case) {
	n, rt := c.open(t)
	defer rt.closing(t)
	rt.list(t)
	lost := rt.watch(t, func() {})
	n.Restart(t)
	if err := lost.wait(t); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("Watch returned %v when the connection was lost", err)
	}
	if lost.ready != 1 {
		t.Errorf("Watch called ready %d times", lost.ready)
	}
	n.with(t, Wanted{"back", nil}, func(id string) {
		w := rt.watch(t, func() {})
		defer w.stop(t)
		n.Start(t, id)
		defer n.End(t, id)
		w.want(t, container.Change{ID: id})
		same(t, "List", rt.list(t)[id], n.Says(t, id))
		same(t, "Get", rt.get(t, id), n.Says(t, id))
	})
}

func severalAsk(t testing.TB, c *Case) {
	n, rt := c.open(t)
	defer rt.closing(t)
	n.running(t, Wanted{"several", nil}, func(id string) {
		want := n.Says(t, id)
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				for range c.rounds(20, 3) {
					switch i % 4 {
					case 0:
						same(t, "List", rt.list(t)[id], want)
					case 1:
						same(t, "Get", rt.get(t, id), want)
					case 2:
						_ = rt.watch(t, func() {}).stop(t)
					case 3:
						ctx, cancel := context.WithTimeout(rt.soon(t), time.Millisecond)
						_, _ = rt.List(ctx)
						cancel()
					}
				}
			})
		}
		group.Wait()
	})
}
