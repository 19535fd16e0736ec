// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"bytes"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

func objectSpec(t *testing.T, name string) *ebpf.CollectionSpec {
	t.Helper()
	data, err := object(name)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func structOf(t *testing.T, types *btf.Spec, name string) *btf.Struct {
	t.Helper()
	var found *btf.Struct
	if err := types.TypeByName(name, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

func member(t *testing.T, s *btf.Struct, name string) btf.Member {
	t.Helper()
	for _, m := range s.Members {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("struct %s has no member %s", s.Name, name)
	return btf.Member{}
}

// The loader tells gadgets that the members of owners are where the programs put them.
func TestLayoutAgreesWithThePrograms(t *testing.T) {
	t.Parallel()
	owner := structOf(t, objectSpec(t, "owners").Types, "owner")
	if owner.Size != ownerSize {
		t.Errorf("an owner has %d bytes, want %d", owner.Size, ownerSize)
	}
	for _, fields := range []Fields{{}, {Cwd: 8}, {Exepath: 16}, {Cwd: 512, Exepath: 512}} {
		types, err := fields.types()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"gadget_socket_value", "sockets_value"} {
			value := structOf(t, types, name)
			if value.Size != fields.ownerBytes() || value.Size != uint32(ownerSize+fields.Cwd+fields.Exepath) {
				t.Errorf("%s has %d bytes with %+v", name, value.Size, fields)
			}
			for _, m := range value.Members {
				checkMember(t, owner, fields, m)
			}
		}
	}
}

// checkMember compares a member of struct gadget_socket_value with that of struct owner.
func checkMember(t *testing.T, owner *btf.Struct, fields Fields, m btf.Member) {
	t.Helper()
	size, err := btf.Sizeof(m.Type)
	if err != nil {
		t.Fatal(err)
	}
	at := m.Offset.Bytes()
	switch m.Name {
	case "cwd":
		if at != ownerSize || size != fields.Cwd {
			t.Errorf("cwd: %d bytes at %d, with %+v", size, at, fields)
		}
	case "exepath":
		if at != uint32(ownerSize+fields.Cwd) || size != fields.Exepath {
			t.Errorf("exepath: %d bytes at %d, with %+v", size, at, fields)
		}
	default:
		theirs := member(t, owner, m.Name)
		theirSize, err := btf.Sizeof(theirs.Type)
		if err != nil || theirs.Offset != m.Offset || theirSize != size {
			t.Errorf("%s: %d bytes at %d, in the programs %d bytes at %d, %v", m.Name, size, at, theirSize, theirs.Offset.Bytes(), err)
		}
	}
}

// Gadgets know the optional members, too, with these names.
func TestLayoutHasTheMembersOfTheHeader(t *testing.T) {
	t.Parallel()
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(compileTap(t)))
	if err != nil {
		t.Fatal(err)
	}
	types, err := DefaultFields().types()
	if err != nil {
		t.Fatal(err)
	}
	header, ours := structOf(t, spec.Types, "gadget_socket_value"), structOf(t, types, "gadget_socket_value")
	if len(header.Members) != len(ours.Members) {
		t.Errorf("%d members, in the header %d", len(ours.Members), len(header.Members))
	}
	for _, m := range ours.Members {
		member(t, header, m.Name)
	}
}

// The maps of both objects get the same sizes, whatever the programs declare.
func TestSizesOfMaps(t *testing.T) {
	t.Parallel()
	fields := Fields{Cwd: 24}
	s := sizes{fields: fields, sockets: 77}
	owners, lookup := objectSpec(t, "owners"), objectSpec(t, "lookup")
	s.apply(owners)
	s.apply(lookup)
	for name, want := range map[string]struct{ entries, size, flags uint32 }{
		portsMap: {77, fields.ownerBytes(), 1}, ownersMap: {77, fields.ownerBytes(), 1}, setsMap: {77, 32, 1},
		pastMap: {4096, pastSize + fields.ownerBytes(), 0}, "gadget_socket_begun": {4096, 56, 0}, blankMap: {1, fields.ownerBytes(), 0},
	} {
		m := owners.Maps[name]
		if m == nil || m.MaxEntries != want.entries || m.ValueSize != want.size || m.Flags != want.flags {
			t.Errorf("%s: %+v, want %+v", name, m, want)
		}
		if l := lookup.Maps[name]; l != nil && (l.MaxEntries != m.MaxEntries || l.ValueSize != m.ValueSize || l.KeySize != m.KeySize || l.Type != m.Type) {
			t.Errorf("%s: %+v in one object, %+v in the other", name, m, l)
		}
	}
	if at := member(t, structOf(t, owners.Types, "past"), "owner").Offset.Bytes(); at != pastSize {
		t.Errorf("the owner of a closed socket is at %d, want %d", at, pastSize)
	}
	// What the functions need room for ends with an owner.
	scratch := structOf(t, lookup.Types, "scratch")
	if at := member(t, scratch, "copy").Offset.Bytes(); at != scratchSize || lookup.Maps[scratchMap].ValueSize != scratchSize+fields.ownerBytes() {
		t.Errorf("the copy of an owner is at %d of %d bytes", at, lookup.Maps[scratchMap].ValueSize)
	}
}
