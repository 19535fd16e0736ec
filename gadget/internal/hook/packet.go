// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/dispatch"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/netns"
)

// socketHook is for the packets of a network namespace, as a packet socket there sees them.
func socketHook() *hook {
	return &hook{
		sections: []string{"socket*"},
		check: func(p *image.Program) error {
			if at := p.Settings.AttachTo; at != "" && !filepath.IsAbs(at) {
				return fmt.Errorf("program %s: %q: want the path of a network namespace in attach_to, or none for that of the host and those of containers", p.Name, p.Place())
			}
			return nil
		},
		prepare: preparePacket,
		attach: func(l *Loaded, p *image.Program, prog *ebpf.Program) (io.Closer, error) {
			return attachInNetworkOf(l, p, prog, p.Settings.AttachTo)
		},
		network: attachSocket,
	}
}

// preparePacket makes the program leave packets as they are.
func preparePacket(_ *image.Program, spec *ebpf.ProgramSpec) error { return dispatch.FixResult(spec) }

// ForPackets reports whether the program is for packets, wherever it is attached.
func ForPackets(p *image.Program) bool { return of(p).network != nil }

// InNetwork reports whether the program is for packets and names no target of its own, so that it is attached in each network namespace.
func InNetwork(p *image.Program) bool { return of(p).network != nil && p.Settings.AttachTo == "" }

// ReadyForNetworks does what AttachInNetwork needs to have done once, and finds out whether the kernel allows it.
func ReadyForNetworks(l *Loaded, p *image.Program, prog *ebpf.Program) error {
	t, err := l.target(p, prog)
	if err != nil {
		return err
	}
	trial, err := t.For(l.Home.ID)
	if err != nil {
		return err
	}
	if err := trial.Close(); err != nil || !IsClassifier(p) {
		return err
	}
	ends, err := l.interfaces()
	if err != nil {
		return err
	}
	return ends.ready()
}

// AttachInNetwork hangs the program for packets on its hook in a network namespace until the result is closed. It attaches the program
// in a namespace once, however many callers want it. Several goroutines may call it at once.
func AttachInNetwork(l *Loaded, p *image.Program, prog *ebpf.Program, ns *netns.Namespace) (io.Closer, error) {
	t, err := l.target(p, prog)
	if err != nil {
		return nil, err
	}
	return l.networks.attach(inNetwork{p.Name, ns.ID}, func() (closers, error) {
		link, err := of(p).network(l, p, t, ns)
		if link == nil {
			return nil, err
		}
		return closers{link}, err
	})
}

// attachInNetworkOf attaches the program in the network namespace of a path; "": that which the gadget was loaded in.
func attachInNetworkOf(l *Loaded, p *image.Program, prog *ebpf.Program, path string) (io.Closer, error) {
	if path == "" {
		return AttachInNetwork(l, p, prog, l.Home)
	}
	ns, err := netns.Open(path)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	return AttachInNetwork(l, p, prog, ns)
}

// target returns what dispatchers call for a program.
func (l *Loaded) target(p *image.Program, prog *ebpf.Program) (*dispatch.Target, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosed
	}
	if t := l.targets[p.Name]; t != nil {
		return t, nil
	}
	t, err := dispatch.NewTarget(prog, l.AttachTypes[p.Name], l.Maps[dispatch.PacketMap])
	if err != nil {
		return nil, err
	}
	if l.targets == nil {
		l.targets = make(map[string]*dispatch.Target)
	}
	l.targets[p.Name] = t
	return t, nil
}

// CountsInNetworks returns the counts of a program for packets in all network namespaces. They are 0 if it is attached in none.
func CountsInNetworks(l *Loaded, p *image.Program) (dispatch.Counts, error) {
	l.mu.Lock()
	t := l.targets[p.Name]
	l.mu.Unlock()
	if t == nil {
		return dispatch.Counts{}, nil
	}
	return t.Counts()
}

// dispatched is a dispatcher that is attached. The dispatcher ends last, so that all its runs are counted.
type dispatched struct {
	link       io.Closer
	dispatcher *dispatch.Dispatcher
}

// Close detaches the dispatcher.
func (d dispatched) Close() error { return errors.Join(d.link.Close(), d.dispatcher.Close()) }

// packetSocket is a socket whose filter is a dispatcher. The kernel removes the filter with the socket.
type packetSocket int

// Close closes the socket.
func (s packetSocket) Close() error { return unix.Close(int(s)) }

// attachSocket opens a packet socket in the namespace, for the packets of all its interfaces.
func attachSocket(_ *Loaded, _ *image.Program, t *dispatch.Target, ns *netns.Namespace) (io.Closer, error) {
	dispatcher, err := t.For(ns.ID)
	if err != nil {
		return nil, err
	}
	fd, err := openPacketSocket(ns, dispatcher)
	if err != nil {
		return nil, errors.Join(err, dispatcher.Close())
	}
	return dispatched{packetSocket(fd), dispatcher}, nil
}

func openPacketSocket(ns *netns.Namespace, dispatcher *dispatch.Dispatcher) (fd int, err error) {
	err = ns.Do(func() (err error) {
		// Without a protocol the socket gets no packets until it is bound, so that none passes it without the filter.
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return explainSocket("open a packet socket", err)
	})
	if err != nil {
		return 0, err
	}
	err = explainSocket("set the filter of a packet socket", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, dispatcher.FD()))
	if err == nil {
		const everything = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8 // in network byte order
		err = explainSocket("bind a packet socket", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: everything}))
	}
	if err != nil {
		return 0, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// explainSocket says what failed, and which privilege is missing.
func explainSocket(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%s: %w (it takes CAP_NET_RAW)", what, err)
	case errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("%s: %w (packet sockets need a kernel built with CONFIG_PACKET, and its module af_packet)", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
