// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// checkIterated fails unless the map can be read as a data source of arrays.
func (img *Image) checkIterated(name string) error {
	m := img.spec.Maps[name]
	switch m.Type {
	case ebpf.Hash, ebpf.LRUHash, ebpf.PerCPUHash, ebpf.LRUCPUHash:
	default:
		return fmt.Errorf("map %q has the type %s; arrays come from a Hash, LRUHash, PerCPUHash or LRUCPUHash", name, m.Type)
	}
	if m.Key == nil || m.Value == nil {
		return fmt.Errorf("map %q: declare it with __type(key, ...) and __type(value, ...), so that its fields are known", name)
	}
	for _, d := range img.DataSources {
		if d.Kind == MapIterator && d.Map == name {
			return fmt.Errorf("map %q already belongs to data source %q; gizmo can take an entry only once", name, d.Schema.Name)
		}
	}
	return errors.Join(checkSize(name, "key", m.Key, m.KeySize), checkSize(name, "value", m.Value, m.ValueSize))
}

// checkSize fails if a map declares another size than its type has.
func checkSize(name, what string, t btf.Type, size uint32) error {
	n, err := btf.Sizeof(t)
	if err != nil {
		return fmt.Errorf("map %q: size of the %s: %w", name, what, err)
	}
	if uint32(n) != size {
		return fmt.Errorf("map %q: its %ss have %d bytes, but their type has %d", name, what, size, n)
	}
	return nil
}

// setSockMap sets the map that a program is attached to.
func (img *Image) setSockMap(program, mapName string) error {
	if err := img.mustHaveProgram(program); err != nil {
		return errors.Join(err, img.mustHaveMap(mapName))
	}
	p := img.Program(program)
	if p.SockMap != "" && p.SockMap != mapName {
		return fmt.Errorf("program %q is already meant for the map %q", program, p.SockMap)
	}
	p.SockMap = mapName
	return img.checkSockMap(mapName)
}

// overrideSockMap attaches a program to the map that the metadata names.
func (img *Image) overrideSockMap(p *Program) error {
	if kind := p.Kind(); kind != "sk_skb" && kind != "sk_msg" || p.Disabled || p.Settings.AttachTo == "" {
		return nil
	}
	p.SockMap = p.Settings.AttachTo
	return img.checkSockMap(p.SockMap)
}

func (img *Image) checkSockMap(name string) error {
	if err := img.mustHaveMap(name); err != nil {
		return err
	}
	if t := img.spec.Maps[name].Type; t != ebpf.SockMap && t != ebpf.SockHash {
		return fmt.Errorf("map %q has the type %s; programs are attached to a SockMap or a SockHash%s", name, t, nearest.Hint(name, img.sockMaps()))
	}
	return nil
}

func (img *Image) sockMaps() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(img.spec.Maps)) {
		if t := img.spec.Maps[name].Type; t == ebpf.SockMap || t == ebpf.SockHash {
			names = append(names, name)
		}
	}
	return names
}

// CheckPins returns an error for the first map that is to be pinned and cannot be.
func (img *Image) CheckPins() error {
	for _, name := range slices.Sorted(maps.Keys(img.spec.Maps)) {
		if err := img.checkPin(name); err != nil {
			return err
		}
	}
	return nil
}

// IsPinned reports whether a map is kept in the bpf file system, for other runs and programs to use.
func (img *Image) IsPinned(name string) bool { return img.spec.Maps[name].Pinning != ebpf.PinNone }

func (img *Image) checkPin(name string) error {
	if img.spec.Maps[name].Pinning == ebpf.PinNone {
		return nil
	}
	if !isIdentifier(name) {
		return fmt.Errorf("map %q: it cannot be pinned by this name", name)
	}
	for i := range img.DataSources {
		if d := &img.DataSources[i]; d.Kind == Tracer && (name == d.Map || name == d.Map+LostSuffix) {
			return fmt.Errorf("map %q: it cannot be pinned, since it belongs to the buffer of data source %q, which has one reader", name, d.Schema.Name)
		}
	}
	return nil
}

// isIdentifier reports whether a name is an identifier in C, which cannot lead out of a folder.
func isIdentifier(name string) bool {
	for i, c := range []byte(name) {
		isLetter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !isLetter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
