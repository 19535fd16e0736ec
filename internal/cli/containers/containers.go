// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/runtimes"
	"github.com/gizmo-ebpf/gizmo/container/starts"
	"github.com/gizmo-ebpf/gizmo/host/pidns"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/run"
	stage "github.com/gizmo-ebpf/gizmo/stage/container"
)

// Containers are the containers of this machine while a command runs.
type Containers struct {
	Set      *container.Set
	Selector *container.Selector
	// Kubernetes: this machine is a node of Kubernetes.
	Kubernetes bool

	keeper  *container.Keeper
	scan    *runtimes.Scan
	command []string      // runs Guard
	guard   *starts.Guard // nil: gizmo sees containers when their runtimes report them
	log     *slog.Logger
}

// Stages returns what adds the fields of containers to a schema, for its description.
func Stages() []pipeline.Stage {
	return []pipeline.Stage{stage.New(stage.Options{Set: container.NewSet(""), Kubernetes: container.OnKubernetes()})}
}

// Options returns the options of a run that shows the selected containers and, with host, what is in no container.
func (c *Containers) Options(host bool) *run.Containers {
	return &run.Containers{Set: c.Set, Selector: c.Selector, Host: host, Kubernetes: c.Kubernetes}
}

// Prepare starts the guard, which sees containers before they run, where the kernel supports it. The guard takes a moment, which
// the caller can use before it calls Start.
func (c *Containers) Prepare() {
	if c.command == nil {
		return
	}
	var err error
	if c.guard, err = starts.StartGuard(c.command, c.creating, c.created); err != nil {
		c.sayLate(err)
	}
}

// Start finds the containers that run, and sees all others from then on. It returns when all runtimes have answered, at
// the latest after container.Patience.
func (c *Containers) Start() {
	c.keeper.Start()
	if c.guard == nil {
		return
	}
	watched, err := c.guard.Ready()
	if err != nil {
		c.End()
		c.sayLate(err)
		return
	}
	c.log.Debug("gizmo sees containers before they start", "watched", watched)
}

func (c *Containers) sayLate(err error) {
	c.scan.Poll()
	c.log.Debug("gizmo sees containers when their runtimes report them, which is after they have started", "err", err)
}

// creating announces a container that is about to be made. It does not read the bundle: a subscriber that needs more does.
func (c *Containers) creating(s starts.Start) {
	c.Set.Announce(container.Identity{Runtime: s.Runtime, ID: s.ID, Name: s.ID, Bundle: s.Bundle})
}

// created adds a container that waits until created returns.
func (c *Containers) created(ctx context.Context, s starts.Start) {
	seen := time.Now()
	id, err := s.Identity()
	if err != nil {
		c.log.Debug("cannot read what belongs to a container", "err", err)
	}
	if err := c.keeper.Created(ctx, id); err != nil {
		c.log.Debug("cannot inspect a container that was created", "err", err)
		return
	}
	c.log.Debug("a container is about to start", "id", id.ID, "held_up_for", time.Since(seen))
}

// End makes what Start began end, and does not wait for that.
func (c *Containers) End() {
	if c.guard != nil {
		_ = c.guard.End() // Close returns the error
	}
}

// Close ends what Start began.
func (c *Containers) Close() error {
	var err error
	if c.guard != nil {
		err = c.guard.Close()
	}
	err = errors.Join(err, c.keeper.Close())
	c.Set.Close()
	return err
}

// hasRuntime reports whether a runtime has answered.
func (c *Containers) hasRuntime() bool {
	return slices.ContainsFunc(c.keeper.Connected(), func(name string) bool { return name != runtimes.ScanName })
}

// seesTheHost reports whether gizmo sees the processes of all containers.
func seesTheHost() bool {
	ns, err := pidns.Own()
	return err != nil || ns.IsInitial()
}

// WhyNone says why there is no container to show; "" if there is one.
func (c *Containers) WhyNone() string {
	all := slices.DeleteFunc(c.Set.All(), func(one *container.Container) bool { return one.Pod.Sandbox })
	for _, one := range all {
		if c.Selector.Matches(one) {
			return ""
		}
	}
	switch {
	case len(all) == 0 && !c.hasRuntime():
		return "gizmo found no container runtime"
	case len(all) == 0 && !seesTheHost():
		return "gizmo sees no process of a container, because it is in a pid namespace of its own; give it that of the host (docker run --pid=host)"
	case len(all) == 0:
		return "no container runs yet"
	default:
		return fmt.Sprintf("none of the %d running containers is selected", len(all))
	}
}
