// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/sink/structs"
)

// Each event of a container is delivered, or counted as lost for that container. A process in no container has its own count.
func TestLossesByContainer(t *testing.T) {
	kerneltest.RequireRoot(t)
	set := container.NewSet("")
	defer set.Close()
	openers := map[string]*opener{"web": startOpener(t, unix.CLONE_NEWNS), "db": startOpener(t, unix.CLONE_NEWNS), "": startOpener(t, 0)}
	for name, o := range openers {
		if name == "" {
			continue
		}
		if err := set.Put(container.RankHigh, container.Identity{ID: name, Name: name, PID: o.cmd.Process.Pid}); err != nil {
			t.Fatal(err)
		}
	}
	release := make(chan struct{})
	delivered := make(map[string]uint64)
	attached := make(chan struct{})
	r, end := startLosing(t, set, attached, structs.Each(func(e *struct {
		Container string `event:"runtime.containerName"`
		File      string `event:"fname"`
	}) error {
		<-release // so that the small buffer fills up
		if e.File == lostFile {
			delivered[e.Container]++
		}
		return nil
	}))
	<-attached
	want := map[string]uint64{"web": 2000, "db": 1000, "": 500}
	for name, n := range want {
		for range n {
			openers[name].open(t, lostFile)
		}
	}
	close(release)
	end()
	lost := make(map[string]uint64)
	sum := uint64(0)
	for _, l := range r.ContainerLosses() {
		if l.Source != (event.SourceID{Name: "open"}) {
			t.Errorf("losses of %v", l.Source)
		}
		name := ""
		if l.Container != nil {
			name = l.Container.Name
		}
		lost[name] += l.Count
		sum += l.Count
	}
	got := maps.Clone(delivered)
	for name, n := range lost {
		got[name] += n
	}
	if !maps.Equal(got, want) {
		t.Errorf("delivered %v and lost %v of %v", delivered, lost, want)
	}
	if total := r.Ledger().Lost(); sum != total || sum == 0 {
		t.Errorf("%d were lost by containers, and %d in all", sum, total)
	}
}

const lostFile = "/no/lost"

// startLosing runs trace_open with the smallest buffer, for failed opens of openers. end ends the run.
func startLosing(t *testing.T, set *container.Set, attached chan struct{}, sink pipeline.Sink) (r *run.Run, end func()) {
	t.Helper()
	img, err := catalog.Builtin("trace_open")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := run.NewPlan(run.Options{
		Gadgets: []run.Gadget{{
			Image: img, Params: map[string]string{"failed": "true", "comm": openerName}, Load: gadget.LoadOptions{BufferSize: 4096},
		}},
		Containers: &run.Containers{Set: set, Host: true},
		OnAttached: func() error { close(attached); return nil },
		Sinks:      []pipeline.NamedSink{{Name: "values", Sink: sink}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if r, err = plan.Load(ctx); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return r, func() {
		cancel()
		if err := errors.Join(<-ended, r.Close()); err != nil {
			t.Error(fmt.Errorf("the run: %w", err))
		}
	}
}
