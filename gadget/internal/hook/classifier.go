// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/dispatch"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/netns"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/tc"
)

// classifierHook is for the packets of network interfaces, where the kernel controls their traffic (tc).
func classifierHook() *hook {
	return &hook{
		sections: []string{"classifier"},
		iface:    true,
		check: func(p *image.Program) error {
			if _, err := directionOf(p); err != nil {
				return err
			}
			if at := p.Settings.AttachTo; strings.Contains(at, "/") && !filepath.IsAbs(at) {
				return fmt.Errorf("program %s: attach_to: %q: want the name of a network interface or the path of a network namespace", p.Name, at)
			}
			return nil
		},
		prepare: preparePacket,
		attach: func(l *Loaded, p *image.Program, prog *ebpf.Program) (io.Closer, error) {
			if at := p.Settings.AttachTo; at != "" && !filepath.IsAbs(at) {
				return attachToInterface(l, p, prog, at)
			}
			return attachInNetworkOf(l, p, prog, p.Settings.AttachTo)
		},
		network: func(l *Loaded, p *image.Program, t *dispatch.Target, ns *netns.Namespace) (io.Closer, error) {
			ends, err := l.interfaces()
			if err != nil {
				return nil, err
			}
			d, err := directionOf(p)
			if err != nil {
				return nil, err
			}
			return ends.add(p.Name, d, t, ns)
		},
	}
}

// directionOf returns the direction that the section of a program names.
func directionOf(p *image.Program) (tc.Direction, error) {
	_, rest, _ := strings.Cut(p.Section, "/")
	name, _, _ := strings.Cut(rest, "/")
	switch name {
	case "ingress":
		return tc.Ingress, nil
	case "egress":
		return tc.Egress, nil
	}
	return 0, fmt.Errorf("program %s: section %q: want classifier/ingress/NAME or classifier/egress/NAME", p.Name, p.Section)
}

// IsClassifier reports whether the program is for the packets of network interfaces.
func IsClassifier(p *image.Program) bool { return p.Kind() == "classifier" }

// attachToInterface attaches the program to the interface of a name. The direction is that of packets for this interface.
func attachToInterface(l *Loaded, p *image.Program, prog *ebpf.Program, name string) (io.Closer, error) {
	iface, err := FindInterface(name)
	if err != nil {
		return nil, err
	}
	ends, err := l.interfaces()
	if err != nil {
		return nil, err
	}
	t, err := l.target(p, prog)
	if err != nil {
		return nil, err
	}
	d, err := directionOf(p)
	if err != nil {
		return nil, err
	}
	dispatcher, err := t.For(l.Home.ID)
	if err != nil {
		return nil, err
	}
	link, err := ends.network.Attach(iface.Index, d, dispatcher.Program)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("network interface %s: %w", name, err), dispatcher.Close())
	}
	return dispatched{link, dispatcher}, nil
}

// interfaces returns what attaches to the interfaces of Home.
func (l *Loaded) interfaces() (*interfaceEnds, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosed
	}
	if l.ends != nil {
		return l.ends, nil
	}
	network, err := tc.Open(l.Home, l.TCLinks)
	if err != nil {
		return nil, err
	}
	l.ends = &interfaceEnds{network: network, home: l.Home.ID, ownOnly: l.Containers, log: l.Log}
	return l.ends, nil
}

// anyGone is nil if the error is that the interface has gone.
func anyGone(err error) error {
	if errors.Is(err, tc.ErrGone) {
		return nil
	}
	return err
}
