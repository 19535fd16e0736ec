// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Row is what snapshot_socket has to say of a socket.
type Row struct {
	NetnsID uint64   `json:"netns_id"`
	Proto   string   `json:"proto"`
	Src     Endpoint `json:"src"`
	Dst     Endpoint `json:"dst"`
	Ino     uint64   `json:"ino"`
	State   string   `json:"state"`
}

// Endpoint is one side of a connection.
type Endpoint struct {
	Addr    string `json:"addr"`
	Port    uint16 `json:"port"`
	Proto   int    `json:"proto"`
	Version int    `json:"version"`
}

// maker makes sockets, and keeps what it knows of them.
type maker struct {
	netns uint64
	rows  []Row
	ports []uint16 // of the workload's sockets
}

func newMaker() (*maker, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &st); err != nil {
		return nil, err
	}
	return &maker{netns: st.Ino}, nil
}

// filter is an expression that is true of the workload's sockets.
func (m *maker) filter() string {
	slices.Sort(m.ports)
	list := strings.Trim(strings.ReplaceAll(fmt.Sprint(slices.Compact(m.ports)), " ", ","), "[]")
	return fmt.Sprintf("src.port in [%s] || dst.port in [%s]", list, list)
}

// add notes a socket with its addresses, of which the second may be none.
func (m *maker) add(fd int, kind int, state string, src, dst netip.AddrPort) error {
	row := Row{NetnsID: m.netns, State: state, Proto: "TCP"}
	proto := unix.IPPROTO_TCP
	if kind == unix.SOCK_DGRAM {
		row.Proto, proto = "UDP", unix.IPPROTO_UDP
	}
	if fd >= 0 {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		row.Ino = st.Ino
	}
	if !dst.IsValid() {
		dst = netip.AddrPortFrom(unspecified(src.Addr()), 0)
	}
	row.Src, row.Dst = endpoint(src, proto), endpoint(dst, proto)
	m.rows = append(m.rows, row)
	m.ports = append(m.ports, src.Port())
	return nil
}

func endpoint(a netip.AddrPort, proto int) Endpoint {
	version := 6
	if a.Addr().Is4() {
		version = 4
	}
	return Endpoint{Addr: a.Addr().String(), Port: a.Port(), Proto: proto, Version: version}
}

// unspecified is the address that stands for none.
func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}
