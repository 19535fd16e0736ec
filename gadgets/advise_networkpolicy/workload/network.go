// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// network is a family, with the addresses of this namespace and of the other, and a group. The addresses are for documentation.
type network struct {
	domain             int
	here, there, group netip.Addr
}

func networks() []network {
	return []network{
		{unix.AF_INET, netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2"), netip.MustParseAddr("224.0.0.199")},
		{unix.AF_INET6, netip.MustParseAddr("2001:db8:15::1"), netip.MustParseAddr("2001:db8:15::2"), netip.MustParseAddr("ff02::199")},
	}
}

const (
	hereName  = "gizmonp0"
	thereName = "gizmonp1"
)

// disconnect removes the cable. The kernel would do so a moment after the end of the process.
func disconnect() error {
	l, err := netlink.LinkByName(hereName)
	if err != nil {
		return err
	}
	return netlink.LinkDel(l)
}

var hereMAC, thereMAC = net.HardwareAddr{2, 0, 0, 0, 15, 1}, net.HardwareAddr{2, 0, 0, 0, 15, 2}

// connect makes the cable, which goes at the latest with the other namespace.
func connect(peer *workload.Network) error {
	// The process's first thread may be the one that made the other namespace.
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer here.Close()
	_, err = workload.OnThread("", func(*workload.Thread[Row]) error {
		if err := peer.Enter(); err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.HardwareAddr = thereName, thereMAC
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: hereName, PeerHardwareAddr: hereMAC, PeerNamespace: netlink.NsFd(here.Fd())}
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("make a virtual cable: %w", err)
		}
		return setUp(thereName, hereMAC, func(n network) (own, other netip.Addr) { return n.there, n.here })
	})()
	return errors.Join(err, setUp(hereName, thereMAC, func(n network) (own, other netip.Addr) { return n.here, n.there }))
}

// setUp gives one end its addresses and those of the other end, so that no packets are needed to find them.
func setUp(name string, mac net.HardwareAddr, addresses func(network) (own, other netip.Addr)) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	for _, n := range networks() {
		own, other := addresses(n)
		bits := own.BitLen()
		address := &netlink.Addr{IPNet: &net.IPNet{IP: own.AsSlice(), Mask: net.CIDRMask(bits-8, bits)}, Flags: unix.IFA_F_NODAD}
		neighbour := &netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT, IP: other.AsSlice(), HardwareAddr: mac}
		if err := errors.Join(netlink.AddrAdd(l, address), netlink.LinkSetUp(l), netlink.NeighSet(neighbour)); err != nil {
			return fmt.Errorf("set up %s: %w", name, err)
		}
	}
	return nil
}

func (n network) at(addr netip.Addr, port int) unix.Sockaddr {
	if n.domain == unix.AF_INET {
		return &unix.SockaddrInet4{Addr: addr.As4(), Port: port}
	}
	return &unix.SockaddrInet6{Addr: addr.As16(), Port: port}
}

// bound returns a socket with an address.
func (n network) bound(kind int, addr netip.Addr, port int) int {
	fd := workload.Must(unix.Socket(n.domain, kind|unix.SOCK_CLOEXEC, 0))
	workload.Check("bind", unix.Bind(fd, n.at(addr, port)))
	limit := unix.Timeval{Sec: 5}
	workload.Check("limit the time", unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit))
	return fd
}

// portOf returns the port that a socket has.
func portOf(fd int) int {
	return workload.EndpointAt(workload.Must(unix.Getsockname(fd)), 0).Port
}

// warmUp waits until packets pass, which the kernel drops for a moment after an interface is up.
func (c *cable) warmUp() {
	fd := c.bound(unix.SOCK_DGRAM, c.here, clientsPort)
	defer unix.Close(fd)
	for range 500 {
		workload.Check("send", unix.Sendto(fd, []byte("?"), 0, c.at(c.there, udpPort)))
		if _, _, err := unix.Recvfrom(c.udpServer, make([]byte, 10), unix.MSG_DONTWAIT); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	workload.Check("wait for a packet", errors.New("none passes"))
}

func indexOf(name string) (int, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	return i.Index, nil
}
