// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/gadget"
)

const (
	// attachPatience is how long a container that starts waits, at most, for probes in its files. Attaching the 23 programs of
	// trace_malloc to a C library that has none yet took 11 to 46 ms, to one that has them 0.6 to 2 ms (docs/containers.md). A
	// container is held up for 45 ms at most.
	attachPatience = 30 * time.Millisecond
	// firstPatience is the same for each container that runs already. Its file system may never answer.
	firstPatience = time.Second
	// endPatience is how long the end of the run waits for containers whose file systems do not answer.
	endPatience = time.Second
)

// inContainers attaches programs to the files of the selected containers and for the packets of their networks, and detaches them when
// the containers end.
type inContainers struct {
	gadgets  []*gadget.Gadget
	selector *container.Selector
	log      *slog.Logger
	stop     func()
	working  sync.WaitGroup

	mu      sync.Mutex
	first   []*attachedIn // nil once containers are attached to when they start
	started bool
	inside  map[string]*attachedIn // by the ids of containers
}

// attachedIn is what is attached in a container.
type attachedIn struct {
	container *container.Container
	links     []io.Closer
	done      chan struct{} // closed when links is complete
}

// newInContainers returns nil if there is nothing to attach in containers.
func newInContainers(c *Containers, gadgets []*gadget.Gadget, log *slog.Logger) *inContainers {
	gadgets = slices.DeleteFunc(slices.Clone(gadgets), func(g *gadget.Gadget) bool { return !g.HasFileProbes() && !g.HasPackets() })
	if len(gadgets) == 0 {
		return nil
	}
	return &inContainers{gadgets: gadgets, selector: c.Selector, log: log, inside: make(map[string]*attachedIn)}
}

// start returns when the programs are attached in all containers that run.
func (a *inContainers) start(set *container.Set) {
	a.stop = set.Subscribe(a.note)
	a.mu.Lock()
	first := a.first
	a.first, a.started = nil, true
	a.mu.Unlock()
	for _, in := range first { // without a lock of the set: other containers can start
		a.attach(in, firstPatience)
	}
}

// note handles a change of a container. When it returns, or after attachPatience, the programs are attached in a new container.
func (a *inContainers) note(n container.Notice) {
	before, after := n.Was != nil && a.wants(n.Was), !n.Ended && a.wants(n.Container)
	moved := before && after && (n.Was.PID != n.PID || n.Was.MountNS != n.MountNS || n.Was.NetNS != n.NetNS)
	if before && (!after || moved) {
		a.leave(n.Was.ID)
	}
	if !after || before && !moved {
		return
	}
	in := &attachedIn{container: n.Container, done: make(chan struct{})}
	a.mu.Lock()
	a.inside[n.ID] = in
	started := a.started
	if !started {
		a.first = append(a.first, in)
	}
	a.mu.Unlock()
	if started {
		a.attach(in, attachPatience)
	}
}

func (a *inContainers) wants(c *container.Container) bool {
	return c.PID != 0 && c.MountNS != 0 && a.selector.Matches(c)
}

// attach attaches the programs in a container, and waits for that no longer than patience.
func (a *inContainers) attach(in *attachedIn, patience time.Duration) {
	a.working.Go(func() {
		defer close(in.done)
		a.attachAll(in)
	})
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-in.done:
	case <-timer.C:
		a.log.Debug("attaching in a container takes long; its first events may be missing", "container", in.container.Name, "id", in.container.ID)
	}
}

func (a *inContainers) attachAll(in *attachedIn) {
	c := in.container
	var errs []error
	var mu sync.Mutex
	add := func(link io.Closer, err error) {
		mu.Lock()
		defer mu.Unlock()
		if link != nil {
			in.links = append(in.links, link)
		}
		errs = append(errs, err)
	}
	var networks sync.WaitGroup
	for _, g := range a.gadgets { // beside files, because the file system of a container may answer late
		if g.HasPackets() {
			networks.Go(func() { add(g.AttachInNetwork(fmt.Sprintf("/proc/%d/ns/net", c.PID))) })
		}
	}
	for _, g := range a.gadgets {
		if g.HasFileProbes() {
			add(g.AttachIn(fmt.Sprintf("/proc/%d/root", c.PID)))
		}
	}
	networks.Wait()
	// The kernel may have given the number of the process to another one.
	ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", c.PID))
	if err != nil || ns != fmt.Sprintf("mnt:[%d]", c.MountNS) {
		in.close(a.log)
		return
	}
	err = joinOnce(errs)
	if err != nil && !errors.Is(err, gadget.ErrDetached) {
		a.log.Warn("events of a container may be missing, because programs could not be attached there", "container", c.Name, "id", c.ID, "err", err)
	}
}

// leave detaches the programs from a container in the background: the kernel takes some 100 ms.
func (a *inContainers) leave(id string) {
	a.mu.Lock()
	in := a.inside[id]
	delete(a.inside, id)
	waiting := slices.Index(a.first, in)
	if in != nil && waiting >= 0 {
		a.first = slices.Delete(a.first, waiting, waiting+1)
	}
	a.mu.Unlock()
	if in == nil || waiting >= 0 {
		return
	}
	a.working.Go(func() {
		<-in.done
		in.close(a.log)
	})
}

func (in *attachedIn) close(log *slog.Logger) {
	for _, l := range in.links {
		if err := l.Close(); err != nil {
			log.Debug("cannot detach from a container", "container", in.container.Name, "err", err)
		}
	}
	in.links = nil
}

// end attaches to no further container. The gadgets detach what is attached.
func (a *inContainers) end() {
	if a != nil && a.stop != nil {
		a.stop()
	}
}

// wait waits for work in the background.
func (a *inContainers) wait() {
	if a == nil {
		return
	}
	done := make(chan struct{})
	go func() {
		a.working.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(endPatience):
	}
}

// networksOf returns a function for gadget.LoadOptions.NetNS that lists the network namespaces of the selected containers.
func networksOf(c *Containers) func() ([]string, error) {
	return func() ([]string, error) {
		var paths []string
		if c.Host {
			paths = append(paths, "/proc/thread-self/ns/net")
		}
		for _, one := range c.Set.All() {
			if one.PID != 0 && c.Selector.Matches(one) { // all of a pod's, because any of them may be ending
				paths = append(paths, fmt.Sprintf("/proc/%d/ns/net", one.PID))
			}
		}
		return paths, nil
	}
}

// follow makes a gadget show the selected containers.
func (c *Containers) follow(o *gadget.LoadOptions) {
	o.Places = gadget.InContainersOnly
	if c.Host {
		o.Places = gadget.InContainersToo
	}
	if o.NetNS == nil {
		o.NetNS = networksOf(c)
	}
}
