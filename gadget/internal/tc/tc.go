// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package tc attaches programs to network interfaces, for the packets that these receive and send.
package tc

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/netns"
)

// HasLinks reports whether the kernel has links for such programs (TCX, since Linux 6.6), which end with the process that made them.
func HasLinks() bool {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()},
	})
	if err != nil {
		return false
	}
	defer prog.Close()
	l, err := link.AttachTCX(link.TCXOptions{Interface: math.MaxInt32, Program: prog, Attach: ebpf.AttachTCXIngress})
	if err == nil {
		_ = l.Close() // no interface has this number
	}
	return !errors.Is(err, ebpf.ErrNotSupported)
}

// Interface is a network interface.
type Interface struct {
	Index int
	Name  string
	Up    bool
	// Pair: it is one end of a pair (veth, netkit), and Peer is the number by which its network namespace knows that of the other end; negative:
	// it is the same namespace.
	Pair bool
	Peer int
}

// Network is a network namespace whose interfaces programs are attached to.
type Network struct {
	ns    *netns.Namespace
	h     *netlink.Handle
	links bool
}

// Open returns the network namespace ns, which has to stay open meanwhile. links: programs are attached by links. Without them
// they are filters, which outlive the process; Open removes those that dead processes have left.
func Open(ns *netns.Namespace, links bool) (*Network, error) {
	n := &Network{ns: ns, links: links}
	err := ns.Do(func() (err error) {
		n.h, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	if !links {
		err = n.removeOrphans()
	}
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Close lets go of the namespace. What is attached stays.
func (n *Network) Close() error {
	n.h.Close()
	return nil
}

// Interfaces lists the interfaces of the namespace.
func (n *Network) Interfaces() ([]Interface, error) {
	links, err := n.h.LinkList()
	for range 10 {
		if !errors.Is(err, netlink.ErrDumpInterrupted) { // the list changed while the kernel wrote it
			break
		}
		links, err = n.h.LinkList()
	}
	if err != nil {
		return nil, fmt.Errorf("list the network interfaces: %w", err)
	}
	var all []Interface
	for _, l := range links {
		a := l.Attrs()
		all = append(all, Interface{
			Index: a.Index, Name: a.Name, Up: a.Flags&net.FlagUp != 0, Peer: a.NetNsID,
			Pair: l.Type() == "veth" || l.Type() == "netkit",
		})
	}
	return all, nil
}

// NumberOf returns the number by which the namespace knows another one, and -1 if it knows none.
func (n *Network) NumberOf(other *netns.Namespace) (int, error) {
	number, err := n.h.GetNetNsIdByFd(other.FD())
	if err != nil {
		return 0, fmt.Errorf("ask for the number of a network namespace: %w", err)
	}
	return number, nil
}

// ErrGone is wrapped by the error about an interface that does not exist anymore.
var ErrGone = errors.New("the network interface has gone")

// Direction is that of packets, for the interface that they pass.
type Direction uint8

// Ingress are packets that the interface receives, Egress those that it sends.
const (
	Ingress Direction = iota
	Egress
)

// Other returns the other direction.
func (d Direction) Other() Direction { return Ingress + Egress - d }

// Attach makes the program see the packets of an interface until the result is closed. It runs before the programs that are there already. The
// program is attached to an interface in a direction once only.
func (n *Network) Attach(index int, d Direction, prog *ebpf.Program) (io.Closer, error) {
	attach := n.attachFilter
	if n.links {
		attach = n.attachLink
	}
	c, err := attach(index, d, prog)
	if errors.Is(err, unix.ENODEV) {
		err = fmt.Errorf("%w: %w", ErrGone, err)
	}
	return c, err
}

func (n *Network) attachLink(index int, d Direction, prog *ebpf.Program) (c io.Closer, err error) {
	as := ebpf.AttachTCXIngress
	if d == Egress {
		as = ebpf.AttachTCXEgress
	}
	err = n.ns.Do(func() error {
		l, err := link.AttachTCX(link.TCXOptions{Interface: index, Program: prog, Attach: as, Anchor: link.Head()})
		if err == nil {
			c = l
		}
		return err
	})
	return c, err
}
