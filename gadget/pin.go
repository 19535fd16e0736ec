// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// pinFolder is where maps are pinned, by their names.
const pinFolder = "/sys/fs/bpf"

// pins are the maps of a gadget that outlive it. The library could pin them, too, but would leave
// them behind when loading fails.
type pins struct {
	found map[string]*ebpf.Map // pinned by an earlier run
	fresh []string             // to be pinned
}

// openPins finds the maps to be pinned that are there already.
func openPins(specs map[string]*ebpf.MapSpec) (*pins, error) {
	p := &pins{found: make(map[string]*ebpf.Map)}
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		if specs[name].Pinning == ebpf.PinNone {
			continue
		}
		specs[name].Pinning = ebpf.PinNone
		if err := p.open(name, specs[name]); err != nil {
			p.close()
			return nil, fmt.Errorf("map %q: %w", name, err)
		}
	}
	return p, nil
}

func (p *pins) open(name string, spec *ebpf.MapSpec) error {
	var st unix.Statfs_t
	if err := unix.Statfs(pinFolder, &st); err != nil || st.Type != unix.BPF_FS_MAGIC {
		return errors.Join(fmt.Errorf("it must be pinned, but there is no bpf file system: mount -t bpf bpf %s", pinFolder), err)
	}
	path := filepath.Join(pinFolder, name)
	m, err := ebpf.LoadPinnedMap(path, nil)
	if errors.Is(err, fs.ErrNotExist) {
		p.fresh = append(p.fresh, name)
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the map pinned as %s: %w", path, err)
	}
	p.found[name] = m
	if err := spec.Compatible(m); err != nil {
		return fmt.Errorf("another map is pinned as %s; if nothing needs it any more, remove that file: %w", path, err)
	}
	return nil
}

// pin pins those that were not there, or none.
func (p *pins) pin(loaded map[string]*ebpf.Map) error {
	for i, name := range p.fresh {
		path := filepath.Join(pinFolder, name)
		err := loaded[name].Pin(path)
		if err == nil {
			continue
		}
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("another run pinned a map there at the same moment, try again: %w", err)
		}
		errs := []error{fmt.Errorf("map %q: pin it as %s: %w", name, path, err)}
		for _, pinned := range p.fresh[:i] {
			errs = append(errs, loaded[pinned].Unpin())
		}
		return errors.Join(errs...)
	}
	return nil
}

// close gives back the handles of those that were there.
func (p *pins) close() {
	for _, m := range p.found {
		m.Close()
	}
}
