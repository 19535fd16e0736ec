// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	stage "github.com/gizmo-ebpf/gizmo/stage/container"
)

// Containers name the containers of events, and select the containers whose events a run shows. Programs that are attached to files are
// attached to those of the selected containers, and iterators over sockets read their network namespaces; with Host those of the host, too.
type Containers struct {
	// Set has the containers of the machine. Runs of one process share it. See container.Keeper.
	Set *container.Set
	// Selector selects the containers; nil: all of them.
	Selector *container.Selector
	// Host lets events pass that belong to no container.
	Host bool
	// Kubernetes makes the names of Kubernetes visible columns, in place of those of the runtime.
	Kubernetes bool
}

// stage returns the stage that finds containers; nil: the run has no containers.
func (c *Containers) stage() *stage.Stage {
	if c == nil {
		return nil
	}
	return stage.New(stage.Options{Set: c.Set, Selector: c.Selector, Host: c.Host, Kubernetes: c.Kubernetes})
}

// namedSource is a source whose events get their containers at once, because they are sorted by them.
type namedSource struct {
	pipeline.Source
	fill map[*event.Schema]func(b *event.Batch)
}

// nameFirst returns a source whose batches have the fields of containers by which the run sorts single events. It returns src
// itself if there are none.
func nameFirst(src pipeline.Source, list *stageList) (pipeline.Source, error) {
	if list.containers == nil {
		return src, nil
	}
	fill := make(map[*event.Schema]func(b *event.Batch))
	for _, s := range src.Schemas() {
		keys, err := list.streams.Reads(s)
		if err != nil {
			return nil, err
		}
		if f := list.containers.Early(s, keys); f != nil {
			fill[s] = f
		}
	}
	if len(fill) == 0 {
		return src, nil
	}
	return &namedSource{src, fill}, nil
}

// Next implements pipeline.Source.
func (n *namedSource) Next(ctx context.Context, b *event.Batch) error {
	err := n.Source.Next(ctx, b)
	if fill := n.fill[b.Schema]; fill != nil && len(b.Rows) > 0 {
		fill(b)
	}
	return err
}

// Names that <gadget/mntns_filter.h> declares.
const (
	mountFilterMap      = "gadget_mntns_filter_map"
	mountFilterConstant = "gadget_filter_by_mntns"
)

// mountFilterSize is the largest number of selected containers that a gadget's programs can filter by.
const mountFilterSize = 16384

// mountFilter keeps the mount namespaces of the selected containers in a map that gadgets' programs read.
type mountFilter struct {
	entries  *ebpf.Map
	selector *container.Selector
	log      *slog.Logger
	stop     func()

	mu   sync.Mutex
	full bool // it has warned that the map is full
	// uses counts the containers of a mount namespace.
	uses map[uint64]int
}

// newMountFilter returns a filter in the kernel for the containers; nil if the run also shows events of no container, because
// the map cannot contain their mount namespaces.
func newMountFilter(c *Containers, log *slog.Logger) (*mountFilter, error) {
	if c == nil || c.Host {
		return nil, nil
	}
	entries, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "gadget_mntns", Type: ebpf.Hash, KeySize: 8, ValueSize: 4, MaxEntries: mountFilterSize,
	})
	if err != nil {
		return nil, fmt.Errorf("make the map of the selected containers: %w", err)
	}
	f := &mountFilter{entries: entries, selector: c.Selector, log: log, uses: make(map[uint64]int)}
	f.stop = c.Set.Subscribe(f.note)
	return f, nil
}

// apply makes a gadget use the map, if its source supports that.
func (f *mountFilter) apply(img *image.Image, o *gadget.LoadOptions) {
	if f == nil {
		return
	}
	if !img.HasVariable(mountFilterConstant) || !img.HasMap(mountFilterMap) {
		f.log.Debug("the gadget does not include <gadget/mntns_filter.h>: gizmo filters its events by container itself", "gadget", img.Metadata.Name)
		return
	}
	if o.Constants[mountFilterConstant] != nil || o.Maps[mountFilterMap] != nil {
		return // the caller has its own map
	}
	o.Constants, o.Maps = maps.Clone(o.Constants), maps.Clone(o.Maps)
	if o.Constants == nil {
		o.Constants = make(map[string]image.Value)
	}
	if o.Maps == nil {
		o.Maps = make(map[string]*ebpf.Map)
	}
	o.Constants[mountFilterConstant] = image.Value{1}
	o.Maps[mountFilterMap] = f.entries
}

// note handles a change of a container. When it returns, a new container is in the map.
func (f *mountFilter) note(n container.Notice) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, after := n.Was != nil && f.wants(n.Was), !n.Ended && f.wants(n.Container)
	if after && (!before || n.Was.MountNS != n.MountNS) {
		f.add(n.MountNS)
	}
	if before && (!after || n.Was.MountNS != n.MountNS) {
		f.remove(n.Was.MountNS)
	}
}

func (f *mountFilter) wants(c *container.Container) bool {
	return c.MountNS != 0 && f.selector.Matches(c)
}

func (f *mountFilter) add(mountNS uint64) {
	if f.uses[mountNS]++; f.uses[mountNS] > 1 {
		return
	}
	err := f.entries.Put(mountNS, uint32(1))
	if err != nil && !f.full {
		f.full = true
		f.log.Warn("the events of some containers are missing, because the map of the selected containers is full", "most", mountFilterSize, "err", err)
	}
}

func (f *mountFilter) remove(mountNS uint64) {
	if f.uses[mountNS]--; f.uses[mountNS] > 0 {
		return
	}
	delete(f.uses, mountNS)
	if err := f.entries.Delete(mountNS); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		f.log.Debug("cannot remove a container from the map of the selected containers", "err", err)
	}
}

// close closes the filter. No program may use it any more.
func (f *mountFilter) close() error {
	if f == nil {
		return nil
	}
	f.stop()
	return f.entries.Close()
}
