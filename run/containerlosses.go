// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
)

// ContainerLoss counts events of one container that the kernel's buffer had no room for. The ledger has them, too, by CPU.
type ContainerLoss struct {
	Source event.SourceID
	// Container is the container of the process that caused them; nil: of none that is known.
	Container *container.Container
	Count     uint64
}

// containerLosses attributes losses to containers while the run goes on, since the kernel may reuse the number of a namespace.
type containerLosses struct {
	set *container.Set // nil: the run knows no containers
	log *slog.Logger

	mu  sync.Mutex
	all []ContainerLoss
}

// collect attributes the losses of gadgets since the last call. names are the names of the gadgets in the run.
func (c *containerLosses) collect(gadgets []*gadget.Gadget, names []string) {
	if c.set == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, g := range gadgets {
		lost, err := g.LostByMount()
		if err != nil {
			c.log.Debug("cannot count lost events by container", "err", err)
		}
		for _, l := range lost {
			c.add(event.SourceID{Gadget: names[i], Name: l.Source}, l)
		}
	}
}

func (c *containerLosses) add(id event.SourceID, l gadget.LostEvents) {
	found := c.set.At(c.set.Find(l.MountNS, 0))
	i := slices.IndexFunc(c.all, func(known ContainerLoss) bool {
		return known.Source == id && idOf(known.Container) == idOf(found)
	})
	if i < 0 {
		c.all = append(c.all, ContainerLoss{id, found, l.Count})
		return
	}
	c.all[i].Count += l.Count
}

func idOf(c *container.Container) string {
	if c == nil {
		return ""
	}
	return c.ID
}

// ContainerLosses returns the events that the kernel's buffers had no room for, by container, the data sources in the order of their
// names, and those with the most losses first. The sum can be less than in the ledger: gadgets that were built against other
// headers, those with programs for packets, and those of more than 1024 containers do not count all. It is complete when Run has
// returned.
func (r *Run) ContainerLosses() []ContainerLoss {
	r.lost.mu.Lock()
	defer r.lost.mu.Unlock()
	all := slices.Clone(r.lost.all)
	slices.SortFunc(all, func(a, b ContainerLoss) int {
		return cmp.Or(strings.Compare(a.Source.String(), b.Source.String()), cmp.Compare(b.Count, a.Count), strings.Compare(idOf(a.Container), idOf(b.Container)))
	})
	return all
}
