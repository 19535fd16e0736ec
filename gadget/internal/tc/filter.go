// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package tc

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/dispatch"
)

const (
	// filterName is how filters of gizmo are known.
	filterName = dispatch.Name
	// lastPriority is the last of the priorities that gizmo tries. The lowest number is the first filter that the kernel asks. All filters of
	// a priority are of one kind, so others may have taken it.
	lastPriority = 16
)

// filter is a program that is a filter of an interface. Filters hang on a queueing discipline (clsact), which all tools share.
type filter struct {
	n    *Network
	spec *netlink.BpfFilter
	// owned: the discipline is there because of gizmo.
	owned bool
}

func (n *Network) attachFilter(index int, d Direction, prog *ebpf.Program) (io.Closer, error) {
	info, err := prog.Info()
	if err != nil {
		return nil, err
	}
	id, ok := info.ID()
	if !ok {
		return nil, errors.New("the kernel does not tell the number of a program")
	}
	defer lock(n.ns)()
	owned, err := n.addDiscipline(index, d)
	if err != nil {
		return nil, err
	}
	f := &filter{n: n, owned: owned, spec: &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: index, Parent: parentOf(d), Protocol: unix.ETH_P_ALL,
			Handle: uint32(id), // nothing else has it
		},
		Fd: prog.FD(), Name: filterName, DirectAction: true,
	}}
	for f.spec.Priority = 1; f.spec.Priority <= lastPriority; f.spec.Priority++ {
		if err = n.h.FilterAdd(f.spec); !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("add a filter: %w", err), f.removeDiscipline())
	}
	f.spec.Fd = -1
	return f, nil
}

func parentOf(d Direction) uint32 {
	if d == Egress {
		return netlink.HANDLE_MIN_EGRESS
	}
	return netlink.HANDLE_MIN_INGRESS
}

func disciplineOf(index int) *netlink.Clsact {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
}

// addDiscipline makes the discipline if there is none. It reports whether it is there because of gizmo: gizmo has made it, or has all filters of it.
// An older discipline, ingress, may be in its place.
func (n *Network) addDiscipline(index int, d Direction) (owned bool, err error) {
	switch err := n.h.QdiscAdd(disciplineOf(index)); {
	case err == nil:
		return true, nil
	case !errors.Is(err, unix.EEXIST):
		return false, fmt.Errorf("add the queueing discipline clsact: %w", err)
	}
	older, err := n.hasIngress(index)
	if err != nil {
		return false, err
	}
	if older && d == Egress { // which would take the filter for packets that are received
		return false, errors.New("another tool has put the queueing discipline ingress in the place of clsact, so no program can see what the interface sends")
	}
	if older {
		return false, nil
	}
	all, err := n.filters(index)
	if err != nil {
		return false, err
	}
	return len(all) > 0 && len(ours(all)) == len(all), nil
}

func (n *Network) hasIngress(index int) (bool, error) {
	all, err := n.h.QdiscList(deviceOf(index))
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return false, fmt.Errorf("list the queueing disciplines: %w", err)
	}
	return slices.ContainsFunc(all, func(q netlink.Qdisc) bool { return q.Type() == "ingress" }), nil
}

func deviceOf(index int) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
}

// filters lists the filters of an interface in both directions.
func (n *Network) filters(index int) ([]netlink.Filter, error) {
	var all []netlink.Filter
	for _, d := range []Direction{Ingress, Egress} {
		list, err := n.h.FilterList(deviceOf(index), parentOf(d))
		if err != nil {
			return nil, fmt.Errorf("list the filters of a network interface: %w", err)
		}
		all = append(all, list...)
	}
	return all, nil
}

func ours(all []netlink.Filter) (list []*netlink.BpfFilter) {
	for _, f := range all {
		if f, ok := f.(*netlink.BpfFilter); ok && f.Name == filterName {
			list = append(list, f)
		}
	}
	return list
}

// Close removes the filter, and the discipline if it was there because of gizmo and nothing else uses it.
func (f *filter) Close() error {
	defer lock(f.n.ns)()
	err := ignoreGone(f.n.h.FilterDel(f.spec))
	if err != nil {
		return fmt.Errorf("remove a filter: %w", err)
	}
	return f.removeDiscipline()
}

func (f *filter) removeDiscipline() error {
	if !f.owned {
		return nil
	}
	return f.n.removeIfEmpty(f.spec.LinkIndex)
}

// removeIfEmpty removes the discipline if it has no filters.
func (n *Network) removeIfEmpty(index int) error {
	all, err := n.filters(index)
	if ignoreGone(err) != nil {
		return err
	}
	if err != nil || len(all) > 0 {
		return nil
	}
	if err := ignoreGone(n.h.QdiscDel(disciplineOf(index))); err != nil {
		return fmt.Errorf("remove the queueing discipline clsact: %w", err)
	}
	return nil
}

// ignoreGone is nil if the interface, the discipline or the filter does not exist: others may remove them at any time.
func ignoreGone(err error) error {
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// removeOrphans removes the filters of gizmo whose processes have ended without doing so.
func (n *Network) removeOrphans() error {
	defer lock(n.ns)()
	disciplines, err := n.h.QdiscList(nil)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("list the queueing disciplines: %w", err)
	}
	var errs []error
	for _, q := range disciplines {
		if q.Type() == "clsact" {
			errs = append(errs, n.removeOrphansOf(q.Attrs().LinkIndex))
		}
	}
	return errors.Join(errs...)
}

func (n *Network) removeOrphansOf(index int) error {
	all, err := n.filters(index)
	if err != nil {
		return ignoreGone(err)
	}
	var errs []error
	removed := 0
	mine := ours(all)
	for _, f := range mine {
		orphan, err := dispatch.IsOrphan(ebpf.ProgramID(f.Id))
		if err == nil && orphan {
			removed++
			f.Fd = -1
			err = ignoreGone(n.h.FilterDel(f))
		}
		errs = append(errs, err)
	}
	if removed > 0 && removed == len(all) {
		errs = append(errs, n.removeIfEmpty(index))
	}
	return errors.Join(errs...)
}
