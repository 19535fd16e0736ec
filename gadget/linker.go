// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"maps"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/prepare"
)

// SocketLinker makes programs find the owners of sockets. Package socket has one.
type SocketLinker interface {
	// Link changes the gadget before it is loaded: its map gadget_sockets, and the programs that use it.
	Link(spec *ebpf.CollectionSpec) (LinkedSockets, error)
}

// LinkedSockets is what programs need that a SocketLinker has changed.
type LinkedSockets struct {
	// Types describe the structs that the kernel does not know.
	Types *btf.Spec
	// Maps take the place of the maps of these names. They remain the linker's.
	Maps map[string]*ebpf.Map
}

// SocketsMap is the name of the map by which a gadget asks for the owners of sockets: <gadget/sockets-map.h> declares it.
const SocketsMap = prepare.SocketsMap

// linkSockets makes a gadget that asks for the owners of sockets find them, or none.
func (g *Gadget) linkSockets(spec *ebpf.CollectionSpec, o *LoadOptions, options *ebpf.CollectionOptions) error {
	if spec.Maps[prepare.SocketsMap] == nil || o.Maps[prepare.SocketsMap] != nil {
		return nil
	}
	var linked LinkedSockets
	var err error
	if o.Sockets != nil {
		linked, err = o.Sockets.Link(spec)
	} else {
		linked.Types, err = prepare.StandInForSockets(spec)
		g.log.Warn("the gadget asks which process owns a socket, and the caller has not enabled that: its events do not show the owners of sockets")
	}
	if err != nil {
		return err
	}
	programs := &options.Programs
	programs.ExtraRelocationTargets = append(slices.Clip(programs.ExtraRelocationTargets), linked.Types)
	maps.Copy(options.MapReplacements, linked.Maps)
	return nil
}
