// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/dispatch"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/netns"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/tc"
)

// interfaceEnds attaches programs to the interfaces of the host: to its own, and to those whose other ends are in other network
// namespaces. It follows interfaces that come and go.
type interfaceEnds struct {
	network *tc.Network
	home    uint64 // the host's network namespace
	ownOnly bool   // programs for the host's own interfaces leave out those whose other end is in another namespace
	log     *slog.Logger

	mu     sync.Mutex
	all    []*endsOf
	stop   func() // ends the watch; nil: there is none
	closed bool
}

// endsOf is a program for the interfaces of one network namespace.
type endsOf struct {
	of         *interfaceEnds
	program    string
	direction  tc.Direction
	dispatcher *dispatch.Dispatcher
	ns         *netns.Namespace // nil: those of the host itself

	links map[int]io.Closer // by the interface; guarded by of.mu
}

// add attaches a program to the interfaces of a namespace: to those that exist, and to those that come.
func (e *interfaceEnds) add(program string, d tc.Direction, t *dispatch.Target, ns *netns.Namespace) (io.Closer, error) {
	dispatcher, err := t.For(ns.ID)
	if err != nil {
		return nil, err
	}
	o := &endsOf{of: e, program: program, direction: d, dispatcher: dispatcher, links: make(map[int]io.Closer)}
	if ns.ID != e.home {
		if o.ns, err = ns.Hold(); err != nil {
			return nil, errors.Join(err, dispatcher.Close())
		}
		o.direction = d.Other() // what one end sends the other receives
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.watch(); err != nil { // first, so that nothing is missed
		return nil, errors.Join(err, o.close())
	}
	interfaces, err := e.network.Interfaces()
	if err == nil {
		err = o.update(interfaces)
	}
	if err != nil && len(o.links) == 0 {
		return nil, errors.Join(err, o.close())
	}
	if err != nil {
		e.log.Warn("a program does not see the packets of some network interfaces", "program", program, "err", err)
	}
	e.all = append(e.all, o)
	return o, nil
}

// ready opens what add needs.
func (e *interfaceEnds) ready() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.watch()
}

// watch begins to follow the interfaces. The caller holds the lock.
func (e *interfaceEnds) watch() (err error) {
	if e.closed {
		return errClosed
	}
	if e.stop == nil {
		e.stop, err = e.network.Watch(e.changed)
	}
	return err
}

// changed attaches all programs to interfaces that have come.
func (e *interfaceEnds) changed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.all) == 0 {
		return
	}
	interfaces, err := e.network.Interfaces()
	if err != nil {
		e.log.Debug("cannot follow the network interfaces", "err", err)
		return
	}
	for _, o := range e.all {
		if err := o.update(interfaces); err != nil {
			e.log.Debug("a program does not see the packets of a new network interface", "program", o.program, "err", err)
		}
	}
}

// Close ends the watch. The programs are detached.
func (e *interfaceEnds) Close() error {
	e.mu.Lock()
	stop := e.stop
	e.stop, e.closed = nil, true
	e.mu.Unlock()
	if stop != nil {
		stop() // without the lock, which changed may wait for
	}
	return e.network.Close()
}

// update attaches the program to the interfaces that it is for, and forgets those that have gone.
func (o *endsOf) update(interfaces []tc.Interface) error {
	number := -1
	if o.ns != nil {
		var err error
		if number, err = o.of.network.NumberOf(o.ns); err != nil {
			return err
		}
	}
	for index, link := range o.links {
		if !slices.ContainsFunc(interfaces, func(i tc.Interface) bool { return i.Index == index }) {
			if err := link.Close(); err != nil {
				o.of.log.Debug("cannot detach from a network interface that has gone", "program", o.program, "err", err)
			}
			delete(o.links, index)
		}
	}
	var errs []error
	for _, i := range interfaces {
		if o.links[i.Index] != nil || !o.isFor(i, number) {
			continue
		}
		link, err := o.of.network.Attach(i.Index, o.direction, o.dispatcher.Program)
		switch {
		case err == nil:
			o.links[i.Index] = link
		case anyGone(err) != nil:
			errs = append(errs, fmt.Errorf("network interface %s: %w", i.Name, err))
		}
	}
	return errors.Join(errs...)
}

// isFor reports whether the program is for an interface. number is that of its namespace.
func (o *endsOf) isFor(i tc.Interface, number int) bool {
	if o.ns == nil {
		return i.Up && !(o.of.ownOnly && i.Pair && i.Peer >= 0)
	}
	return number >= 0 && i.Pair && i.Peer == number
}

// Close detaches the program from all interfaces.
func (o *endsOf) Close() error {
	o.of.mu.Lock()
	defer o.of.mu.Unlock()
	o.of.all = slices.DeleteFunc(o.of.all, func(other *endsOf) bool { return other == o })
	return o.close()
}

func (o *endsOf) close() error {
	var links closers
	for _, l := range o.links {
		links = append(links, l)
	}
	o.links = nil
	errs := []error{links.Close(), o.dispatcher.Close()}
	if o.ns != nil {
		errs = append(errs, o.ns.Close())
	}
	return errors.Join(errs...)
}
