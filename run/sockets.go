// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"errors"
	"log/slog"
	"slices"

	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/socket"
)

// asksForSockets reports whether a gadget of the plan asks for the owners of sockets.
func (p *Plan) asksForSockets() bool {
	return slices.ContainsFunc(p.gadgets, func(g plannedGadget) bool { return asksForSockets(g.image, &g.load) })
}

// asksForSockets reports whether a gadget asks for the owners of sockets, and the caller does not tell it where to find them.
func asksForSockets(img *image.Image, o *gadget.LoadOptions) bool {
	return img.HasMap(gadget.SocketsMap) && o.Maps[gadget.SocketsMap] == nil && o.Sockets == nil
}

// socketOwners are the owners of sockets that the gadgets of a run ask for.
type socketOwners struct {
	pool   *socket.Pool
	leases []*socket.Lease
	full   uint64 // sockets for which there was no room, as far as they have been told
	log    *slog.Logger
}

// link makes a gadget find the owners, if it asks for them and the caller has no map of its own.
func (s *socketOwners) link(img *image.Image, o *gadget.LoadOptions, types *btf.Cache) error {
	if !asksForSockets(img, o) {
		return nil
	}
	fields, err := gadget.SocketFields(img, o)
	if err != nil {
		return err
	}
	lease, err := s.pool.Get(fields, types)
	if err != nil {
		return err
	}
	s.leases = append(s.leases, lease)
	o.Sockets = lease
	return nil
}

// start notes owners from now on.
func (s *socketOwners) start() error {
	for _, l := range s.leases {
		if err := l.Start(); err != nil {
			return err
		}
	}
	return nil
}

// tell warns of sockets for which there was no room.
func (s *socketOwners) tell() {
	var full uint64
	for _, l := range s.leases {
		n, err := l.Full()
		if err != nil {
			s.log.Warn("cannot find out whether all sockets have owners", "err", err)
			return
		}
		full += n
	}
	if full > s.full {
		s.log.Warn("there are too many sockets: events do not show the owners of some", "without_owner", full-s.full, "most", socket.DefaultMaxSockets)
	}
	s.full = full
}

func (s *socketOwners) close() error {
	var errs []error
	for _, l := range s.leases {
		errs = append(errs, l.Close())
	}
	s.leases = nil
	return errors.Join(errs...)
}
