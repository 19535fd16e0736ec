// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"errors"
	"log/slog"

	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// areWanted reports whether a gadget asks for the owners of sockets, and the options do not say where to find them.
func areWanted(img *image.Image, o *gadget.LoadOptions) bool {
	return img.HasMap(gadget.SocketsMap) && o.Maps[gadget.SocketsMap] == nil && o.Sockets == nil
}

// ErrNoTypes is the error about a gadget that asks for the owners of sockets where the kernel has no types of its own.
var ErrNoTypes = errors.New("the gadget asks for the owners of sockets, which gizmo finds only on kernels that have their own types (built with CONFIG_DEBUG_INFO_BTF=y)")

// Leases are the owners that several gadgets, of a run say, ask for. Those of a nil pointer are none.
type Leases struct {
	pool *Pool
	log  *slog.Logger
	all  []*Lease
	full uint64 // sockets for which there was no room, as far as Tell has told them
}

// NewLeases returns leases, of which there are none yet. Without a pool they make one of their own.
func NewLeases(pool *Pool, log *slog.Logger) *Leases {
	if pool == nil {
		pool = NewPool(Options{Fields: DefaultFields(), Logger: log})
	}
	return &Leases{pool: pool, log: log}
}

// Provide makes a gadget that will be loaded with these options find the owners, if it asks for them.
func (l *Leases) Provide(img *image.Image, o *gadget.LoadOptions) error {
	if !areWanted(img, o) {
		return nil
	}
	if o.KernelTypes != nil { // these are only those that the gadget's own programs need
		return ErrNoTypes
	}
	fields, err := gadget.SocketFields(img, o)
	if err != nil {
		return err
	}
	lease, err := l.pool.Get(fields)
	if err != nil {
		return err
	}
	l.all = append(l.all, lease)
	o.Sockets = lease
	return nil
}

// Start finds the owners of the sockets that there are.
func (l *Leases) Start() error {
	if l == nil {
		return nil
	}
	for _, lease := range l.all {
		if err := lease.Start(); err != nil {
			return err
		}
	}
	return nil
}

// Tell warns if there was no room for sockets since the last call.
func (l *Leases) Tell() {
	if l == nil {
		return
	}
	var full uint64
	for _, lease := range l.all {
		n, err := lease.Full()
		if err != nil {
			l.log.Warn("cannot find out whether all sockets have owners", "err", err)
			return
		}
		full += n
	}
	if full > l.full {
		l.log.Warn("there are too many sockets: events do not show the owners of some", "without_owner", full-l.full, "most", l.pool.options.maxSockets())
	}
	l.full = full
}

// Close ends the uses. No gadget may use the owners any more.
func (l *Leases) Close() error {
	if l == nil {
		return nil
	}
	var errs []error
	for _, lease := range l.all {
		errs = append(errs, lease.Close())
	}
	l.all = nil
	return errors.Join(errs...)
}
