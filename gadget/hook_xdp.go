// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// xdpHook is for the packets that a network interface receives, before the kernel looks at them.
func xdpHook() *hook {
	return &hook{
		sections: []string{"xdp", "xdp.frags"},
		iface:    true,
		attach:   attachXDP,
		idle:     neverIdle,
	}
}

func attachXDP(g *Gadget, p *Program, prog *ebpf.Program) (io.Closer, error) {
	name := p.Target
	if g.iface != "" {
		name = g.iface
	}
	if name == "" {
		return nil, errors.New("which network interface? Name it in attach_to, or with --iface")
	}
	iface, err := findInterface(name)
	if err != nil {
		return nil, err
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: iface.Index})
	switch {
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return nil, fmt.Errorf("the network interface %s has an XDP program already, and takes one only: %w", name, err)
	case err != nil:
		return nil, err
	}
	return l, nil
}

// checkInterface finds what is wrong with the network interface that the user has chosen. Empty: with
// none.
func (img *Image) checkInterface(name string) error {
	if name == "" {
		return nil
	}
	usesOne := func(p Program) bool { return !p.Disabled && p.hook.iface }
	if !slices.ContainsFunc(img.Programs, usesOne) {
		return fmt.Errorf("the gadget has no program for a network interface, so it cannot run on %q alone", name)
	}
	_, err := findInterface(name)
	return err
}

func findInterface(name string) (*net.Interface, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("there is no network interface %q%s: %w", name, nearest.Hint(name, interfaces()), err)
	}
	return iface, nil
}

func interfaces() []string {
	var names []string
	list, _ := net.Interfaces()
	for _, i := range list {
		names = append(names, i.Name)
	}
	return names
}
