// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// Names of the maps and functions of programs/.
const (
	portsMap   = "gadget_sockets"
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
	scratchSize = 2 * 48
	pastSize    = 48
)

// ownerBytes is the size of an owner with these fields, which are rounded.
func (f Fields) ownerBytes() uint32 { return uint32(ownerSize + f.Cwd + f.Exepath) }

// types describe struct gadget_socket_value: no kernel has it, so the loader tells programs where its members are.
func (f Fields) types() (*btf.Spec, error) {
	u64 := &btf.Int{Name: "unsigned long long", Size: 8}
	u32 := &btf.Int{Name: "unsigned int", Size: 4}
	char := &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}
	chars := func(n int) btf.Type { return &btf.Array{Index: u32, Type: char, Nelems: uint32(n)} }
	value := &btf.Struct{Name: "gadget_socket_value", Size: f.ownerBytes()}
	add := func(name string, typ btf.Type, at int) {
		value.Members = append(value.Members, btf.Member{Name: name, Type: typ, Offset: btf.Bits(at) * 8})
	}
	add("mntns", u64, 0)
	add("pid_tgid", u64, 8)
	add("uid_gid", u64, 16)
	add("task", chars(16), 24)
	add("ptask", chars(16), 40)
	add("sock", u64, 56)
	add("deletion_timestamp", u64, 64)
	add("ppid", u32, 72)
	add("ptid", u32, 76)
	add("ipv6only", char, 80)
	add("ambiguous", char, 81)
	if f.Cwd > 0 {
		add("cwd", chars(f.Cwd), ownerSize)
	}
	if f.Exepath > 0 {
		add("exepath", chars(f.Exepath), ownerSize+f.Cwd)
	}
	older := *value
	older.Name = "sockets_value"
	builder, err := btf.NewBuilder([]btf.Type{value, &older}, nil)
	if err != nil {
		return nil, fmt.Errorf("describe the owners of sockets: %w", err)
	}
	return builder.Spec()
}

// sizes are those of the maps.
type sizes struct {
	fields  Fields
	sockets uint32
	flags   uint32 // of hash maps
}

// apply gives the maps of a spec the sizes. Only those of programs/ are there.
func (s *sizes) apply(spec *ebpf.CollectionSpec) {
	for name, m := range spec.Maps {
		switch name {
		case portsMap, ownersMap:
			m.MaxEntries, m.Flags = s.sockets, s.flags
			m.ValueSize, m.Value = s.fields.ownerBytes(), nil
		case setsMap:
			m.MaxEntries, m.Flags = s.sockets, s.flags
		case pastMap:
			m.ValueSize, m.Value = pastSize+s.fields.ownerBytes(), nil
		case blankMap:
			m.ValueSize, m.Value = s.fields.ownerBytes(), nil
		case scratchMap:
			m.ValueSize, m.Value = scratchSize+s.fields.ownerBytes(), nil
		}
	}
}
