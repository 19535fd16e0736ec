// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Endpoint is one side of a connection, in the form of events.
type Endpoint struct {
	Addr    string `json:"addr"`
	Port    int    `json:"port"`
	Proto   int    `json:"proto"`   // the number, as unix.IPPROTO_TCP
	Version int    `json:"version"` // of IP: 4 or 6
}

// EndpointAt describes an address of IPv4 or IPv6; of another it knows only the protocol.
func EndpointAt(a unix.Sockaddr, proto int) Endpoint {
	e := Endpoint{Proto: proto}
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		e.Addr, e.Port, e.Version = netip.AddrFrom4(a.Addr).String(), a.Port, 4
	case *unix.SockaddrInet6:
		e.Addr, e.Port, e.Version = netip.AddrFrom16(a.Addr).String(), a.Port, 6
	}
	return e
}
