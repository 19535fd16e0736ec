// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Row is the row of snapshot_socket for a socket.
type Row struct {
	NetnsID uint64            `json:"netns_id"`
	Proto   string            `json:"proto"`
	Src     workload.Endpoint `json:"src"`
	Dst     workload.Endpoint `json:"dst"`
	Ino     uint64            `json:"ino"`
	State   string            `json:"state"`
}

// maker makes sockets, and keeps the rows that they should have.
type maker struct {
	netns uint64
	rows  []Row
	ports []uint16 // of the workload's sockets
}

// filter is an expression that is true of the workload's sockets.
func (m *maker) filter() string {
	slices.Sort(m.ports)
	list := strings.Trim(strings.ReplaceAll(fmt.Sprint(slices.Compact(m.ports)), " ", ","), "[]")
	return fmt.Sprintf("src.port in [%s] || dst.port in [%s]", list, list)
}

// add notes a socket with its addresses, of which the second may be none.
func (m *maker) add(fd int, kind int, state string, src, dst netip.AddrPort) {
	row := Row{NetnsID: m.netns, State: state, Proto: "TCP"}
	proto := unix.IPPROTO_TCP
	if kind == unix.SOCK_DGRAM {
		row.Proto, proto = "UDP", unix.IPPROTO_UDP
	}
	if fd >= 0 {
		var st unix.Stat_t
		workload.Check("describe a socket", unix.Fstat(fd, &st))
		row.Ino = st.Ino
	}
	if !dst.IsValid() {
		dst = netip.AddrPortFrom(unspecified(src.Addr()), 0)
	}
	row.Src, row.Dst = workload.EndpointAt(sockaddr(src), proto), workload.EndpointAt(sockaddr(dst), proto)
	m.rows = append(m.rows, row)
	m.ports = append(m.ports, src.Port())
}

// unspecified returns the address that means no address, for the family of a.
func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}
