// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// protocol is a kind of socket.
type protocol struct {
	domain, kind, number int
}

var (
	tcp4 = protocol{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP}
	udp4 = protocol{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDP}
	raw4 = protocol{unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP}
	tcp6 = protocol{unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_TCP}
	udp6 = protocol{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDP}
	raw6 = protocol{unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6}
)

func (p protocol) version() int {
	if p.domain == unix.AF_INET {
		return 4
	}
	return 6
}

func (p protocol) hasPorts() bool { return p.kind != unix.SOCK_RAW }

func in4(port int, a ...byte) unix.Sockaddr {
	s := &unix.SockaddrInet4{Port: port}
	copy(s.Addr[:], a)
	return s
}

func in6(port int, a [16]byte) unix.Sockaddr { return &unix.SockaddrInet6{Port: port, Addr: a} }

// loopback is this machine's address of a protocol.
func (p protocol) loopback(port int) unix.Sockaddr {
	if p.domain == unix.AF_INET {
		return in4(port, 127, 0, 0, 1)
	}
	return in6(port, [16]byte{15: 1})
}

// foreign is no address of this machine.
func (p protocol) foreign(port int) unix.Sockaddr {
	if p.domain == unix.AF_INET {
		return in4(port, 192, 0, 2, 77)
	}
	return in6(port, [16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 15: 0x4d})
}

// socket is a socket with the fields that its events should have.
type socket struct {
	*thread
	protocol
	fd     int
	opts   options
	device int
}

func (t *thread) new(p protocol) *socket {
	s := &socket{thread: t, protocol: p, fd: t.open(p.domain, p.kind, p.number)}
	if !p.hasPorts() {
		s.opts = reuseAddress // the kernel sets it
	}
	return s
}

// bind binds and lists it. Errors come with the address that was wanted.
func (s *socket) bind(to unix.Sockaddr, want unix.Errno) {
	s.result(unix.Bind(s.fd, to), want, workload.EndpointAt(to, s.number))
}

// result lists a call with the result err, which must be the wanted one.
func (s *socket) result(err error, want unix.Errno, addr workload.Endpoint) {
	workload.Want("bind to "+addr.Addr, err, want)
	if want == 0 {
		addr = workload.EndpointAt(workload.Must(unix.Getsockname(s.fd)), s.number)
	}
	if !s.hasPorts() {
		addr.Port = 0
	}
	s.Events = append(s.Events, Event{
		Proc: s.Proc, NetnsID: s.netnsID, Addr: addr, Outcome: workload.OutcomeOf(want),
		Opts: s.opts.String(), OptsRaw: s.opts, BoundDevIf: s.device,
	})
}

// port is the port that the socket has got.
func (s *socket) port() int { return s.Events[len(s.Events)-1].Addr.Port }

// bindNew binds a new socket.
func (t *thread) bindNew(p protocol, to unix.Sockaddr, want unix.Errno) *socket {
	s := t.new(p)
	s.bind(to, want)
	return s
}
