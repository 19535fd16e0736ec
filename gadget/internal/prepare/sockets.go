// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// SocketsMap is the map of <gadget/sockets-map.h> in which programs look up the owner of a socket, and
// socketValue the struct that it holds. No kernel has that struct: the program that fills the map says where its
// members are.
const (
	SocketsMap  = "gadget_sockets"
	socketValue = "gadget_socket_value"
)

// StandInForSockets makes gadgets load that ask for the owner of a socket, although this version cannot find owners:
// the map stays empty, and has none of the optional members. It returns the types for the programs; nil if
// they do not use the map.
func StandInForSockets(spec *ebpf.CollectionSpec) (*btf.Spec, error) {
	m, ok := spec.Maps[SocketsMap]
	if !ok {
		return nil, nil
	}
	types, size, err := socketTypes()
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", socketValue, err)
	}
	m.ValueSize, m.Value, m.MaxEntries = size, nil, 1
	return types, nil
}

// socketTypes describes the struct as it is without optional members.
func socketTypes() (*btf.Spec, uint32, error) {
	u64 := &btf.Int{Name: "unsigned long long", Size: 8}
	u32 := &btf.Int{Name: "unsigned int", Size: 4}
	char := &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}
	comm := &btf.Array{Index: u32, Type: char, Nelems: 16}
	value := &btf.Struct{Name: socketValue}
	for _, m := range []struct {
		name string
		typ  btf.Type
		room uint32
	}{
		{"mntns", u64, 8}, {"pid_tgid", u64, 8}, {"uid_gid", u64, 8},
		{"task", comm, 16}, {"ptask", comm, 16},
		{"sock", u64, 8}, {"deletion_timestamp", u64, 8},
		{"ppid", u32, 4}, {"ptid", u32, 4}, {"ipv6only", char, 8},
	} {
		value.Members = append(value.Members, btf.Member{Name: m.name, Type: m.typ, Offset: btf.Bits(value.Size) * 8})
		value.Size += m.room
	}
	builder, err := btf.NewBuilder([]btf.Type{value}, nil)
	if err != nil {
		return nil, 0, err
	}
	types, err := builder.Spec()
	return types, value.Size, err
}
