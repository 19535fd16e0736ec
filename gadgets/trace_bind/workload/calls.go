// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// addresses binds to addresses that are available.
func addresses(t *thread) {
	mapped := [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}
	for _, c := range []struct {
		protocol
		to unix.Sockaddr
	}{
		{tcp4, tcp4.loopback(0)},
		{udp4, udp4.loopback(0)},
		{raw4, raw4.loopback(0)},
		{tcp6, tcp6.loopback(0)},
		{udp6, udp6.loopback(0)},
		{raw6, raw6.loopback(0)},
		{tcp4, in4(0)},
		{udp6, in6(0, [16]byte{})},
		{tcp6, in6(0, mapped)},
		{udp4, in4(0, 224, 0, 0, 251)},
		{udp6, in6(0, [16]byte{0: 0xff, 1: 0x05, 15: 1})},
	} {
		s := t.bindNew(c.protocol, c.to, 0)
		if s.hasPorts() { // else it may be bound again
			s.bind(c.to, unix.EINVAL)
		}
	}
}

// someOptions sets options of sockets, each alone and all together.
func someOptions(t *thread) {
	for _, p := range []protocol{tcp4, tcp6} {
		all := t.new(p)
		for _, c := range []struct {
			level, option int
			o             options
			to            unix.Sockaddr
		}{
			{unix.SOL_SOCKET, unix.SO_REUSEADDR, reuseAddress, p.loopback(0)},
			{unix.SOL_SOCKET, unix.SO_REUSEPORT, reusePort, p.loopback(0)},
			{unix.IPPROTO_IP, unix.IP_FREEBIND, freebind, p.foreign(0)},
			{unix.IPPROTO_IP, unix.IP_TRANSPARENT, transparent, p.foreign(0)},
			{unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, bindAddressNoPort, p.loopback(0)},
		} {
			one := t.new(p)
			for _, s := range []*socket{one, all} {
				workload.Check("set option "+c.o.String(), unix.SetsockoptInt(s.fd, c.level, c.option, 1))
				s.opts |= c.o
			}
			one.bind(c.to, 0)
		}
		all.bind(p.foreign(0), 0)
	}
}

// device binds sockets that belong to a network interface.
func device(t *thread) {
	lo := workload.Must(net.InterfaceByName("lo"))
	for _, p := range []protocol{tcp4, udp6} {
		s := t.new(p)
		err := unix.SetsockoptString(s.fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "lo")
		workload.Check("bind to the loopback interface", err)
		s.device = lo.Index
		s.bind(p.loopback(0), 0)
	}
}

// failures binds to valid addresses that are not available.
func failures(t *thread) {
	for _, p := range []protocol{tcp4, udp4, tcp6, udp6} {
		s := t.bindNew(p, p.loopback(0), 0)
		t.bindNew(p, p.loopback(s.port()), unix.EADDRINUSE)
		t.bindNew(p, p.foreign(12345), unix.EADDRNOTAVAIL)
	}
}

// badAddresses are no addresses of the socket's protocol.
func badAddresses(t *thread) {
	for _, p := range []protocol{tcp4, udp6} {
		s := t.new(p)
		none := workload.EndpointAt(in4(0), p.number)
		if p.version() == 6 {
			none = workload.EndpointAt(in6(0, [16]byte{}), p.number)
		}
		raw := unix.RawSockaddrInet6{Family: uint16(p.domain), Port: 0x3930, Flowinfo: 0x0100007f}
		whole := workload.Endpoint{Addr: "127.0.0.1", Port: 12345, Proto: p.number, Version: 4}
		for _, c := range []struct {
			family uint16
			size   uintptr
			wanted workload.Endpoint
			want   unix.Errno
		}{
			{uint16(p.domain), 1, none, unix.EINVAL},
			{uint16(p.domain), 8, none, unix.EINVAL},
			{99, unix.SizeofSockaddrInet6, none, unix.EAFNOSUPPORT},
			{unix.AF_INET, unix.SizeofSockaddrInet6, whole, unix.EAFNOSUPPORT},
		} {
			if p.version() == 4 && c.family == unix.AF_INET && c.want == unix.EAFNOSUPPORT {
				continue // good
			}
			raw.Family = c.family
			_, _, errno := unix.Syscall(unix.SYS_BIND, uintptr(s.fd), uintptr(unsafe.Pointer(&raw)), c.size)
			s.result(errno, c.want, c.wanted)
		}
	}
}

// forbidden binds to a port that is for privileged users, where there are such ports.
func forbidden(t *thread) {
	text := workload.Must(os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"))
	if workload.Must(strconv.Atoi(strings.TrimSpace(string(text)))) <= 7 {
		return
	}
	workload.Check("give up rights", t.BecomeNobody())
	t.bindNew(tcp4, tcp4.loopback(7), unix.EACCES)
}

// inOwnNetwork binds in another network namespace, where all ports are free.
func inOwnNetwork(t *thread) {
	t.netnsID = workload.Must(t.OwnNetwork())
	for _, port := range []int{1, 65535} {
		t.bindNew(udp4, udp4.loopback(port), 0)
	}
}

// others makes calls that cause no event: sockets of other families, calls that do not reach a socket, and
// sockets that get an address without bind.
func others(t *thread) {
	local := t.open(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	workload.Check("bind a local socket", unix.Bind(local, &unix.SockaddrUnix{Name: "@"}))
	netlink := t.open(unix.AF_NETLINK, unix.SOCK_RAW, 0)
	workload.Check("bind to netlink", unix.Bind(netlink, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
	listener := t.new(tcp4).fd
	_, _, errno := unix.Syscall(unix.SYS_BIND, uintptr(listener), 1, unix.SizeofSockaddrInet4)
	workload.Want("bind to a bad pointer", errno, unix.EFAULT)
	workload.Check("listen", unix.Listen(listener, 1))
	workload.Check("connect", unix.Connect(t.new(udp4).fd, udp4.loopback(9)))
}
