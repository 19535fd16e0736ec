// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package bpfprogs

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Label says which gadget a program is of. The loader of a gadget binds a map with it to each program of the gadget, so that any
// process that looks at the programs can read it, for as long as they are in the kernel.
type Label struct {
	// ID identifies one start of a gadget.
	ID string
	// Name is the gadget's name, and Reference what its user started it from.
	Name, Reference string
}

// labelName is the name of the map. Others may make a map of that name: what it says is as trustworthy as the names of programs.
const labelName = "gizmo_gadget"

// labelValue is the value of the map's only entry.
type labelValue struct {
	ID        [40]byte
	Name      [64]byte
	Reference [256]byte
}

// NewLabel returns the label of a gadget that is about to be started.
func NewLabel(name, reference string) Label {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return Label{ID: hex.EncodeToString(id[:]), Name: name, Reference: reference}
}

// Bind makes programs carry the label. It takes Linux 5.10.
func (l *Label) Bind(programs map[string]*ebpf.Program) error {
	var v labelValue
	copy(v.ID[:], l.ID)
	copy(v.Name[:], l.Name)
	copy(v.Reference[:], l.Reference)
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: labelName, Type: ebpf.Array, KeySize: 4, ValueSize: 40 + 64 + 256, MaxEntries: 1,
		Contents: []ebpf.MapKV{{Key: uint32(0), Value: v}},
	})
	if err != nil {
		return fmt.Errorf("make a map for the gadget's name: %w", err)
	}
	defer m.Close() // the programs keep it
	for name, p := range programs {
		if err := p.BindMap(m); err != nil {
			return fmt.Errorf("bind the gadget's name to program %s: %w", name, err)
		}
	}
	return nil
}

// readLabel reads the label in a map of its name.
func readLabel(m *ebpf.Map) (l Label, ok bool) {
	var v labelValue
	if m.Type() != ebpf.Array || m.Lookup(uint32(0), &v) != nil {
		return l, false
	}
	l = Label{ID: string(event.CString(v.ID[:])), Name: string(event.CString(v.Name[:])), Reference: string(event.CString(v.Reference[:]))}
	return l, l.ID != ""
}
