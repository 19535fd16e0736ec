// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// iterHook is for programs that the kernel calls for each of its objects of a kind. Nothing attaches
// them: a data source runs them.
func iterHook() *hook {
	return &hook{
		sections: []string{"iter", "iter.s"},
		check: func(p *Program) error {
			switch {
			case p.Target == "":
				return fmt.Errorf("program %s: section %q: want iter/NAME", p.Name, p.Section)
			case walksMap(p.Target) && p.IterMap == "":
				return fmt.Errorf("program %s: section %q: which map? Add GADGET_ITER_TARGET_MAP(%s, MAP)", p.Name, p.Section, p.Name)
			case !walksMap(p.Target) && p.IterMap != "":
				return fmt.Errorf("program %s: section %q: it walks no map; GADGET_ITER_TARGET_MAP is for iter/bpf_map_elem", p.Name, p.Section)
			}
			return nil
		},
		missing: missingIterator,
	}
}

func isIterSection(section string) bool {
	kind, _, _ := strings.Cut(section, "/")
	return kind == "iter" || kind == "iter.s"
}

// walksMap reports whether an iterator needs to know which map.
func walksMap(iterator string) bool {
	switch iterator {
	case "bpf_map_elem", "bpf_sk_storage_map", "sockmap":
		return true
	}
	return false
}

// isNetworkIterator reports whether an iterator shows one network namespace only.
func isNetworkIterator(iterator string) bool {
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

func missingIterator(k *kernel, p *Program) error {
	var t *btf.Struct
	err := k.types.TypeByName(iterContext+p.Target, &t)
	if !errors.Is(err, btf.ErrNotFound) {
		return nil
	}
	why := nearest.Hint(p.Target, k.iterators())
	if since := iteratorSince(p.Target); since != "" {
		why = fmt.Sprintf(": it came with Linux %s, and may be left out of a kernel's configuration", since)
	}
	return fmt.Errorf("program %s: this kernel has no iterator %q%s", p.Name, p.Target, why)
}

// iterators lists what the kernel can iterate over.
func (k *kernel) iterators() []string {
	var names []string
	for _, name := range structNames(k.types) {
		if rest, ok := strings.CutPrefix(name, iterContext); ok {
			names = append(names, rest)
		}
	}
	slices.Sort(names)
	return names
}
