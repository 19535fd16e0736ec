// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package socketvalue describes struct gadget_socket_value, the owner of a socket as gadgets see it. No kernel has the struct, so the
// loader tells programs where its members are.
package socketvalue

import (
	"fmt"

	"github.com/cilium/ebpf/btf"
)

// Map is the map of <gadget/sockets-map.h> in which programs look up the owner of a socket.
const Map = "gadget_sockets"

// Size is the size of the struct without optional members.
const Size = 88

// The names of the struct.
const name, olderName = "gadget_socket_value", "sockets_value"

// IsName reports whether a struct of this name is the one.
func IsName(s string) bool { return s == name || s == olderName }

// Member is an optional member: text of Length bytes, or one byte if that is 0.
type Member struct {
	Name       string
	At, Length int
}

// Types describes the struct with the members that it always has, and with optional ones. It has an older name, too.
func Types(size int, optional ...Member) (*btf.Spec, error) {
	u64 := &btf.Int{Name: "unsigned long long", Size: 8}
	u32 := &btf.Int{Name: "unsigned int", Size: 4}
	char := &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}
	chars := func(n int) btf.Type { return &btf.Array{Index: u32, Type: char, Nelems: uint32(n)} }
	value := &btf.Struct{Name: name, Size: uint32(size)}
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
	for _, m := range optional {
		if m.Length == 0 {
			add(m.Name, char, m.At)
			continue
		}
		add(m.Name, chars(m.Length), m.At)
	}
	older := *value
	older.Name = olderName
	builder, err := btf.NewBuilder([]btf.Type{value, &older}, nil)
	if err != nil {
		return nil, fmt.Errorf("describe the owners of sockets: %w", err)
	}
	return builder.Spec()
}
