// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package stacks puts together what names the stacks of a run: the stage, the resolver, and the gadgets' tables of stacks.
package stacks

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/host/pidns"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/stage/stack"
	"github.com/gizmo-ebpf/gizmo/symbol"
	"github.com/gizmo-ebpf/gizmo/symbol/resolve"
)

// Options describe a run.
type Options struct {
	// Schemas are the data sources.
	Schemas []*event.Schema
	// BuildIDs says for each gadget, by its name, whether it shows build ids.
	BuildIDs map[string]bool
	// Unwind is how the callers in processes are found; empty: by frame pointers.
	Unwind string
	Log    *slog.Logger
}

// Stacks names the stacks of a run. All methods may be called for nil, which is a run without stacks.
type Stacks struct {
	unwind   resolve.Unwinding
	resolver *resolve.Resolver
	stage    *stack.Stage
	log      *slog.Logger
	loaded   map[string]*gadget.Gadget // by their names; only those that take stacks

	mu     sync.Mutex
	places symbol.Places // whose lines are wanted
}

// New prepares to name stacks; it returns nil if no data source has any. It uses nothing of the machine yet. If the options are wrong, it returns
// an error as well, so that a plan finds all other errors, too.
func New(o *Options) (*Stacks, error) {
	unwind, err := unwinding(o.Unwind)
	var keep time.Duration // as long as events wait
	found := false
	for _, s := range o.Schemas {
		found = found || stack.HasStacks(s)
		if stack.HasUserStacks(s) && !s.Single {
			keep = time.Hour // arrays are read long after the programs have met the stacks
		}
	}
	if !found {
		return nil, err
	}
	st := &Stacks{unwind: unwind, log: o.Log, loaded: make(map[string]*gadget.Gadget)}
	st.resolver = resolve.New(resolve.Options{Keep: keep, Getenv: os.Getenv})
	own := uint32(0)
	if ns, err := pidns.Own(); err == nil {
		own = ns.Inode()
	}
	buildIDs := o.BuildIDs
	st.stage = stack.New(stack.Options{
		Resolver: st.resolver, Namespace: own, Source: st.source,
		Users:    func(id event.SourceID) bool { g := st.loaded[id.Gadget]; return g != nil && g.TakesUserStacks() },
		BuildIDs: func(id event.SourceID) bool { return buildIDs[id.Gadget] },
	})
	return st, err
}

func unwinding(how string) (resolve.Unwinding, error) {
	switch u := resolve.Unwinding(how); u {
	case "":
		return resolve.FramePointers, nil
	case resolve.FramePointers, resolve.DWARF, resolve.Auto:
		return u, nil
	}
	return "", fmt.Errorf("%q is none of %s, %s, %s", how, resolve.Auto, resolve.FramePointers, resolve.DWARF)
}

// source returns the stacks of a data source's gadget; nil: it has none.
func (st *Stacks) source(id event.SourceID) stack.Source {
	if g := st.loaded[id.Gadget]; g != nil {
		return g.Stacks()
	}
	return nil
}

// Stages returns the stage, if there is one.
func (st *Stacks) Stages() []pipeline.Stage {
	if st == nil {
		return nil
	}
	return []pipeline.Stage{st.stage}
}

// Prepare sets the options for loading a gadget.
func (st *Stacks) Prepare(o *gadget.LoadOptions) {
	if st != nil && st.unwind != resolve.FramePointers {
		o.UnwindStack = st.unwindSample
	}
}

// unwindSample finds the callers in a process. gizmo knows processes by the numbers of its own pid namespace, so in another than the initial one
// the stacks are those by frame pointers.
func (st *Stacks) unwindSample(s gadget.StackSample) (addresses []uint64, ok bool) {
	return st.resolver.Unwind(resolve.Moment{PID: s.PID, Time: s.Time}, st.unwind, s.Bytes, s.ByFramePointers)
}

// Add takes the stacks of a gadget that was loaded.
func (st *Stacks) Add(name string, g *gadget.Gadget) {
	if st != nil && g.Stacks() != nil {
		st.loaded[name] = g
	}
}

// Start prepares for stacks that the sinks and stages read, which are bound by now, before the programs are attached.
func (st *Stacks) Start() error {
	kernel, users := st.Wants()
	if kernel {
		if err := st.resolver.LoadKernel(); err != nil {
			st.log.Warn("functions of the kernel have no names in stacks", "reason", err)
		}
	}
	if !users {
		return nil
	}
	warning, err := st.resolver.FollowProcesses()
	if err != nil {
		return fmt.Errorf("follow what processes map: %w", err)
	}
	if warning != nil {
		st.log.Warn("stacks of processes that end soon will have no names", "reason", warning)
	}
	return nil
}

// Wants reports whether the run names functions of the kernel, and of processes. It is known once the stages are bound.
func (st *Stacks) Wants() (kernel, users bool) {
	if st == nil {
		return false, false
	}
	return st.stage.Wants()
}

// Close ends what Start has begun.
func (st *Stacks) Close() error {
	if st == nil {
		return nil
	}
	return st.resolver.Close()
}
