// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/socketvalue"
)

// Names of the maps and functions of programs/.
const (
	portsMap   = socketvalue.Map
	ownersMap  = "gadget_socket_owners"
	setsMap    = "gadget_socket_sets"
	pastMap    = "gadget_socket_past"
	scratchMap = "gadget_socket_scratch"
	blankMap   = "blank"
	begunMap   = "gadget_socket_begun"
	keepMap    = "keep_ports"

	byPacket   = "gadget_socket_by_packet"
	bySock     = "gadget_socket_by_sock"
	find       = "gadget_socket_find"
	findPacket = "gadget_socket_find_packet"
	// keepCwd and keepExepath are the functions that look for paths.
	keepCwd     = "keep_cwd"
	keepExepath = "keep_exepath"
	// plainBySock is what <gadget/sockets-map.h> has for bySock to take its place.
	plainBySock = "__gadget_socket_by_sock"
)

const (
	portKeySize = 12 // struct gadget_socket_key
	// ownerSize is the size of struct owner without paths. The others are what struct scratch and struct past have beside one.
	ownerSize   = 136
	ambiguousAt = 81 // in struct owner
	scratchSize = 2 * 48
	pastSize    = 48
)

// ownerBytes is the size of an owner with these fields, which are rounded.
func (f Fields) ownerBytes() uint32 { return uint32(ownerSize + f.Cwd + f.Exepath) }

// types describe the owner to gadgets.
func (f Fields) types() (*btf.Spec, error) {
	optional := []socketvalue.Member{{Name: "ambiguous", At: ambiguousAt}}
	if f.Cwd > 0 {
		optional = append(optional, socketvalue.Member{Name: "cwd", At: ownerSize, Length: f.Cwd})
	}
	if f.Exepath > 0 {
		optional = append(optional, socketvalue.Member{Name: "exepath", At: ownerSize + f.Cwd, Length: f.Exepath})
	}
	return socketvalue.Types(int(f.ownerBytes()), optional...)
}

// sizes are those of the maps.
type sizes struct {
	fields  Fields
	sockets uint32
}

// apply gives the maps of a spec the sizes. Only those of programs/ are there.
func (s *sizes) apply(spec *ebpf.CollectionSpec) {
	for name, m := range spec.Maps {
		switch name {
		case portsMap, ownersMap:
			m.MaxEntries, m.Flags = s.sockets, unix.BPF_F_NO_PREALLOC
			m.ValueSize, m.Value = s.fields.ownerBytes(), nil
		case setsMap:
			m.MaxEntries, m.Flags = s.sockets, unix.BPF_F_NO_PREALLOC
		case pastMap:
			m.ValueSize, m.Value = pastSize+s.fields.ownerBytes(), nil
		case blankMap:
			m.ValueSize, m.Value = s.fields.ownerBytes(), nil
		case scratchMap:
			m.ValueSize, m.Value = scratchSize+s.fields.ownerBytes(), nil
		}
	}
}
