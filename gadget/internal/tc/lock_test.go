// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package tc

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/netns"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

const loopback = 1 // the index of the first interface of each network namespace

// newNamespace makes a network namespace that lasts as long as the test.
func newNamespace(t *testing.T) *netns.Namespace {
	t.Helper()
	kerneltest.RequireRoot(t)
	ns, err := netns.Open(kerneltest.NewNetwork(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

func newProgram(t *testing.T) *ebpf.Program {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	return prog
}

func openFilters(t *testing.T, ns *netns.Namespace) *Network {
	t.Helper()
	n, err := Open(ns, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// Several attach and remove filters at once. None loses its filter, and at the end nothing is left.
func TestFiltersAtOnce(t *testing.T) {
	ns := newNamespace(t)
	var users sync.WaitGroup
	for range 4 {
		n, prog := openFilters(t, ns), newProgram(t)
		users.Go(func() {
			for range 200 {
				filter, err := n.Attach(loopback, Egress, prog)
				if err != nil {
					t.Error(err)
					return
				}
				all, err := n.filters(loopback)
				if err != nil || !hasFilter(all, prog) {
					t.Errorf("the filter has gone: %v", err)
				}
				if err := filter.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	users.Wait()
	if n := openFilters(t, ns); hasDiscipline(t, n) {
		t.Error("the queueing discipline is left")
	}
}

func hasFilter(all []netlink.Filter, prog *ebpf.Program) bool {
	info, err := prog.Info()
	if err != nil {
		return false
	}
	id, _ := info.ID()
	return slices.ContainsFunc(ours(all), func(f *netlink.BpfFilter) bool { return f.Id == int(id) })
}

func hasDiscipline(t *testing.T, n *Network) bool {
	t.Helper()
	all, err := n.h.QdiscList(deviceOf(loopback))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(q netlink.Qdisc) bool { return q.Type() == "clsact" })
}

// A process that holds the lock does not keep gizmo from its work.
func TestLockIsHeldByAnother(t *testing.T) {
	ns := newNamespace(t)
	unlock := lock(ns)
	defer unlock()
	n := openFilters(t, ns)
	begin := time.Now()
	filter, err := n.Attach(loopback, Ingress, newProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < lockPatience {
		t.Errorf("attached after %v, without the lock", took)
	}
	if err := filter.Close(); err != nil || hasDiscipline(t, n) {
		t.Errorf("%v; or the discipline is left", err)
	}
}
