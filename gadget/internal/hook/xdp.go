// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// xdpHook is for the packets that a network interface receives, before the kernel looks at them.
func xdpHook() *hook {
	return &hook{
		sections: []string{"xdp", "xdp.frags"},
		iface:    true,
		attach:   attachXDP,
		result:   verdict,
	}
}

// ErrNoInterface is wrapped by the error about a program for which no network interface was named.
var ErrNoInterface = errors.New("no network interface chosen: name one in attach_to of gadget.yaml, or choose one for this run")

func attachXDP(_ *Loaded, p *image.Program, prog *ebpf.Program) (io.Closer, error) {
	name := p.Target
	if name == "" {
		return nil, ErrNoInterface
	}
	iface, err := FindInterface(name)
	if err != nil {
		return nil, err
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: iface.Index})
	switch {
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return nil, fmt.Errorf("the network interface %s already has an XDP program, and can have only one: %w", name, err)
	case err != nil:
		return nil, err
	}
	return l, nil
}

// FindInterface returns the network interface of a name.
func FindInterface(name string) (*net.Interface, error) {
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
