// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// iterHook is for programs that the kernel calls for each of its objects of a kind. Nothing attaches
// them: a data source runs them.
func iterHook() *hook {
	return &hook{
		sections: []string{"iter", "iter.s"},
		check: func(p *image.Program) error {
			switch {
			case p.Target == "":
				return fmt.Errorf("program %s: section %q: want iter/NAME", p.Name, p.Section)
			case walksMap(p.Target) && p.IterMap == "":
				return fmt.Errorf("program %s: section %q: its map is missing: add GADGET_ITER_TARGET_MAP(%s, MAP)", p.Name, p.Section, p.Name)
			case !walksMap(p.Target) && p.IterMap != "":
				return fmt.Errorf("program %s: section %q: it walks no map; GADGET_ITER_TARGET_MAP is for iter/bpf_map_elem", p.Name, p.Section)
			}
			return nil
		},
		missing: missingIterator,
	}
}

// walksMap reports whether an iterator needs to know which map.
func walksMap(iterator string) bool {
	switch iterator {
	case "bpf_map_elem", "bpf_sk_storage_map", "sockmap":
		return true
	}
	return false
}

// ShowsOneNetwork reports whether an iterator shows one network namespace only.
func ShowsOneNetwork(iterator string) bool {
	switch iterator {
	case "tcp", "udp", "unix", "netlink", "ipv6_route":
		return true
	}
	return false
}

// iteratorSince returns the version of Linux that an iterator came with, "" if that is not known
// here.
func iteratorSince(iterator string) string {
	switch iterator {
	case "task", "task_file", "bpf_map", "netlink", "ipv6_route":
		return "5.8"
	case "tcp", "udp", "bpf_map_elem", "bpf_prog", "bpf_sk_storage_map":
		return "5.9"
	case "sockmap":
		return "5.10"
	case "task_vma":
		return "5.12"
	case "unix":
		return "5.15"
	case "bpf_link":
		return "5.19"
	case "ksym":
		return "6.0"
	case "cgroup":
		return "6.1"
	}
	return ""
}

// iterContext begins the name of the struct that the kernel hands to an iterator's programs. Each of
// its iterators has one.
const iterContext = "bpf_iter__"

func missingIterator(k *kernel.Kernel, p *image.Program) error {
	var t *btf.Struct
	err := k.Types.TypeByName(iterContext+p.Target, &t)
	if !errors.Is(err, btf.ErrNotFound) {
		return nil
	}
	why := nearest.Hint(p.Target, iteratorsOf(k))
	if since := iteratorSince(p.Target); since != "" {
		why = fmt.Sprintf(": it came with Linux %s, and some kernels are configured without it", since)
	}
	return fmt.Errorf("program %s: this kernel has no iterator %q%s", p.Name, p.Target, why)
}

// iteratorsOf lists what the kernel can iterate over.
func iteratorsOf(k *kernel.Kernel) []string {
	var names []string
	for t, err := range k.Types.All() {
		if err != nil {
			break
		}
		if s, ok := t.(*btf.Struct); ok {
			if rest, ok := strings.CutPrefix(s.Name, iterContext); ok {
				names = append(names, rest)
			}
		}
	}
	slices.Sort(names)
	return names
}

// Iterate readies an iter program for a data source to run. The result belongs to the caller.
func Iterate(l *Loaded, p *image.Program, prog *ebpf.Program) (*link.Iter, error) {
	o := link.IterOptions{Program: prog}
	if p.IterMap != "" {
		o.Map = l.Maps[p.IterMap]
	}
	iter, err := link.AttachIter(o)
	if err != nil && o.Map != nil && !errors.Is(err, unix.EPERM) {
		return nil, &IterateError{fmt.Errorf("program %s: walk map %q (type %s, keys of %d and values of %d bytes; "+
			"the kernel iterates over hash and array maps, and the program must not read beyond a key or value): %w",
			p.Name, p.IterMap, o.Map.Type(), o.Map.KeySize(), o.Map.ValueSize(), err)}
	}
	return iter, err
}

// IterateError says why a map cannot be walked, and is complete.
type IterateError struct{ cause error }

// Error returns the message of the cause.
func (e *IterateError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *IterateError) Unwrap() error { return e.cause }
