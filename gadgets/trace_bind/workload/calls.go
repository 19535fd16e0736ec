// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// addresses are those that one can bind to.
func addresses(t *thread) error {
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
		s, err := t.bindNew(c.protocol, c.to, 0)
		if err != nil {
			return err
		}
		if !s.hasPorts() {
			continue // may be bound again
		}
		if err := s.bind(c.to, unix.EINVAL); err != nil {
			return err
		}
	}
	return nil
}

// someOptions sets options of sockets, each alone and all together.
func someOptions(t *thread) error {
	for _, p := range []protocol{tcp4, tcp6} {
		all, err := t.new(p)
		if err != nil {
			return err
		}
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
			one, err := t.new(p)
			if err != nil {
				return err
			}
			for _, s := range []*socket{one, all} {
				if err := s.set(c.level, c.option, c.o); err != nil {
					return err
				}
			}
			if err := one.bind(c.to, 0); err != nil {
				return err
			}
		}
		if err := all.bind(p.foreign(0), 0); err != nil {
			return err
		}
	}
	return nil
}

// device binds sockets that belong to a network interface.
func device(t *thread) error {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return err
	}
	for _, p := range []protocol{tcp4, udp6} {
		s, err := t.new(p)
		if err != nil {
			return err
		}
		if err := unix.SetsockoptString(s.fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "lo"); err != nil {
			return fmt.Errorf("bind to the loopback interface: %w", err)
		}
		s.device = lo.Index
		if err := s.bind(p.loopback(0), 0); err != nil {
			return err
		}
	}
	return nil
}

// failures are calls with good addresses that one cannot have.
func failures(t *thread) error {
	for _, p := range []protocol{tcp4, udp4, tcp6, udp6} {
		s, err := t.bindNew(p, p.loopback(0), 0)
		if err != nil {
			return err
		}
		if _, err := t.bindNew(p, p.loopback(s.port()), unix.EADDRINUSE); err != nil {
			return err
		}
		if _, err := t.bindNew(p, p.foreign(12345), unix.EADDRNOTAVAIL); err != nil {
			return err
		}
	}
	return nil
}

// badAddresses are no addresses of the socket's protocol.
func badAddresses(t *thread) error {
	for _, p := range []protocol{tcp4, udp6} {
		s, err := t.new(p)
		if err != nil {
			return err
		}
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
			if err := s.result(errno, c.want, c.wanted); err != nil {
				return err
			}
		}
	}
	return nil
}

// forbidden binds to a port that is for privileged users, where there are such ports.
func forbidden(t *thread) error {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		return err
	}
	if first, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || first <= 7 {
		return err
	}
	if err := t.BecomeNobody(); err != nil {
		return err
	}
	_, err = t.bindNew(tcp4, tcp4.loopback(7), unix.EACCES)
	return err
}

// inOwnNetwork binds in another network namespace, where all ports are free.
func inOwnNetwork(t *thread) error {
	var err error
	if t.netnsID, err = t.OwnNetwork(); err != nil {
		return err
	}
	for _, port := range []int{1, 65535} {
		if _, err := t.bindNew(udp4, udp4.loopback(port), 0); err != nil {
			return err
		}
	}
	return nil
}

// others is what is no event: sockets of other families, what the kernel does not pass on to one, and
// sockets that get an address without asking.
func others(t *thread) error {
	local, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	t.fds = append(t.fds, local)
	if err := unix.Bind(local, &unix.SockaddrUnix{Name: "@"}); err != nil {
		return err
	}
	netlink, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	t.fds = append(t.fds, netlink)
	if err := unix.Bind(netlink, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	listener, err := t.new(tcp4)
	if err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_BIND, uintptr(listener.fd), 1, unix.SizeofSockaddrInet4)
	if errno != unix.EFAULT {
		return fmt.Errorf("bind to a bad pointer: got %v, want %v", errno, unix.EFAULT)
	}
	if err := unix.Listen(listener.fd, 1); err != nil {
		return err
	}
	sender, err := t.new(udp4)
	if err != nil {
		return err
	}
	return unix.Connect(sender.fd, udp4.loopback(9))
}
