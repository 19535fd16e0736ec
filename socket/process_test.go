// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// process is a process of a scenario, from the test's side.
type process struct {
	s       *scenario
	control int
	pid     int
	names   []named
	socks   []*sock
	ended   bool
}

// named is the name of a process from a time on.
type named struct {
	from uint64
	name string
}

// sock is an open socket in a process.
type sock struct {
	*process
	fd   int
	kind *kind
}

// kind is what all descriptors of a socket share.
type kind struct {
	proto     uint8
	laddr     netip.Addr // of IPv4 in 16 bytes, too; the zero value for any
	lport     int
	rport     int
	holders   []*process // of a listener
	listening bool
	began     uint64 // of a connection that goes out
	open      int    // how many descriptors there are
	gone      uint64 // when the last one was closed
}

// begin starts the first process of a scenario, in a network namespace of its own.
func (s *scenario) begin(name string) *process {
	s.t.Helper()
	path := s.program(name)
	mine, theirs := s.socketPair()
	pid, err := syscall.ForkExec(path, []string{path}, &syscall.ProcAttr{
		Env: agentEnviron(), Files: []uintptr{0, 1, 2, uintptr(theirs)}, Sys: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET},
	})
	unix.Close(theirs)
	if err != nil {
		unix.Close(mine)
		s.t.Fatal(err)
	}
	p := s.add(mine, pid, name)
	s.t.Cleanup(func() {
		p.close()
		_, _ = syscall.Wait4(pid, nil, 0, nil)
	})
	p.do(&order{Call: "loopback"})
	return p
}

func (s *scenario) add(control, pid int, name string) *process {
	p := &process{s: s, control: control, pid: pid, names: []named{{0, name}}}
	s.processes = append(s.processes, p)
	return p
}

// program returns this program's path under a name.
func (s *scenario) program(name string) string {
	s.t.Helper()
	path, err := programNamed(s.dir, name)
	if err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *scenario) socketPair() (mine, theirs int) {
	s.t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	patience := unix.NsecToTimeval((30 * time.Second).Nanoseconds())
	if err := unix.SetsockoptTimeval(pair[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience); err != nil {
		s.t.Fatal(err)
	}
	return pair[0], pair[1]
}

// child makes a process that is a child of p and shares some of its sockets, in order.
func (p *process) child(name string, inherited ...*sock) (*process, []*sock) {
	p.s.t.Helper()
	mine, theirs := p.s.socketPair()
	o := &order{Call: "spawn", Path: p.s.program(name)}
	for _, k := range inherited {
		o.FDs = append(o.FDs, k.fd)
	}
	a := p.do(o, theirs)
	unix.Close(theirs)
	c := p.s.add(mine, a.PID, name)
	p.s.t.Cleanup(c.close)
	var shared []*sock
	for i, k := range inherited {
		shared = append(shared, c.has(k, controlFD+1+i))
	}
	return c, shared
}

// has notes that the process has a socket that another has, too.
func (p *process) has(k *sock, fd int) *sock {
	if k.kind.listening {
		k.kind.holders = append(k.kind.holders, p)
		p.s.own(k.kind, k.kind.holders...)
	}
	return p.hold(fd, k.kind)
}

func (p *process) hold(fd int, k *kind) *sock {
	k.open++
	opened := &sock{process: p, fd: fd, kind: k}
	p.socks = append(p.socks, opened)
	return opened
}

// drop notes that a descriptor is being closed.
func (k *sock) drop() {
	if k.kind.open--; k.kind.open == 0 {
		k.kind.gone = now(k.s.t)
	}
}

// close ends the process. It returns when all its sockets are closed.
func (p *process) close() {
	if p.ended {
		return
	}
	p.ended = true
	for _, k := range p.socks {
		k.drop()
	}
	fd, err := unix.PidfdOpen(p.pid, 0)
	unix.Close(p.control)
	if err != nil {
		return // it has ended before
	}
	defer unix.Close(fd)
	for deadline := time.Now().Add(30 * time.Second); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 30_000)
		if n == 1 {
			return
		}
		if !errors.Is(err, unix.EINTR) || time.Now().After(deadline) {
			p.s.t.Errorf("process %d does not end: %v", p.pid, err)
			return
		}
	}
}

// exec makes the process run another program, which keeps the socket.
func (k *sock) exec(name string) {
	k.s.t.Helper()
	k.do(&order{Call: "exec", FD: k.fd, Path: k.s.program(name)})
	k.names = append(k.names, named{now(k.s.t), name})
}

// try makes a call. It returns the error of the system.
func (p *process) try(o *order, give ...int) (answer, []int, error) {
	p.s.t.Helper()
	err := sendMessage(p.control, o, give...)
	if err != nil {
		p.s.t.Fatalf("%s: %v", o.Call, err)
	}
	a, fds, err := receiveMessage[answer](p.control)
	if err != nil {
		p.s.t.Fatalf("%s: %v", o.Call, err)
	}
	if a.Errno != 0 {
		return a, fds, unix.Errno(a.Errno)
	}
	return a, fds, nil
}

// do makes a call that must succeed.
func (p *process) do(o *order, give ...int) answer {
	p.s.t.Helper()
	a, _, err := p.try(o, give...)
	if err != nil {
		p.s.t.Fatalf("%s: %s %.100s: %v", p, o.Call, fmt.Sprintf("%+v", *o), err)
	}
	return a
}

func (p *process) String() string {
	return fmt.Sprintf("%s (%d)", p.names[len(p.names)-1].name, p.pid)
}

// now returns the time of the kernel's clock that never jumps.
func now(t testing.TB) uint64 {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	return uint64(ts.Nano())
}

// ---- Sockets ----

func (p *process) open(family, typ, protocol int) (*sock, error) {
	p.s.t.Helper()
	a, _, err := p.try(&order{Call: "socket", Args: []int{family, typ, protocol}})
	if err != nil {
		return nil, err
	}
	proto := uint8(unix.IPPROTO_TCP)
	if typ&unix.SOCK_DGRAM != 0 {
		proto = unix.IPPROTO_UDP
	}
	return p.hold(a.FD, &kind{proto: proto}), nil
}

func (p *process) mustOpen(family, typ int) *sock {
	p.s.t.Helper()
	k, err := p.open(family, typ, 0)
	if err != nil {
		p.s.t.Fatal(err)
	}
	return k
}

func (p *process) udp() *sock  { return p.mustOpen(unix.AF_INET, unix.SOCK_DGRAM) }
func (p *process) udp6() *sock { return p.mustOpen(unix.AF_INET6, unix.SOCK_DGRAM) }
func (p *process) tcp() *sock  { return p.mustOpen(unix.AF_INET, unix.SOCK_STREAM) }
func (p *process) tcp6() *sock { return p.mustOpen(unix.AF_INET6, unix.SOCK_STREAM) }

func (k *sock) set(level, option, value int) *sock {
	k.s.t.Helper()
	k.do(&order{Call: "setsockopt", FD: k.fd, Args: []int{level, option, value}})
	return k
}

// sharesPort allows other sockets on the port.
func (k *sock) sharesPort() *sock {
	k.s.t.Helper()
	return k.set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1).set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}

func (k *sock) bind(addr string) *sock {
	k.s.t.Helper()
	at := netip.MustParseAddrPort(addr)
	if !at.Addr().IsUnspecified() {
		k.kind.laddr = at.Addr().WithZone("")
	}
	k.kind.lport = int(at.Port())
	k.do(&order{Call: "bind", FD: k.fd, Addr: addr})
	if k.kind.proto == unix.IPPROTO_UDP {
		k.s.own(k.kind, k.process)
	}
	return k
}

func (k *sock) listen() *sock {
	k.s.t.Helper()
	k.kind.listening, k.kind.holders = true, []*process{k.process}
	k.do(&order{Call: "listen", FD: k.fd, Args: []int{64}})
	k.learnPort()
	k.s.own(k.kind, k.process)
	return k
}

// learnPort asks for the local port. It does not ask for the peer, because that would be a use of the socket.
func (k *sock) learnPort() {
	k.s.t.Helper()
	k.kind.lport = k.do(&order{Call: "getsockname", FD: k.fd}).Port
}

// connect connects the socket, and returns the system's error.
func (k *sock) connect(addr string) error {
	k.s.t.Helper()
	before := now(k.s.t)
	k.kind.began = before
	_, _, err := k.try(&order{Call: "connect", FD: k.fd, Addr: addr})
	k.connected(before, addr)
	return err
}

func (k *sock) mustConnect(addr string) *sock {
	k.s.t.Helper()
	if err := k.connect(addr); err != nil {
		k.s.t.Fatalf("connect to %s: %v", addr, err)
	}
	return k
}

func (k *sock) connected(before uint64, addr string) {
	k.s.t.Helper()
	k.learnPort()
	k.kind.rport = int(netip.MustParseAddrPort(addr).Port())
	k.s.ownFrom(before, k.kind, k.process)
}

// disconnect makes a socket for UDP forget its peer.
func (k *sock) disconnect() {
	k.s.t.Helper()
	k.do(&order{Call: "disconnect", FD: k.fd})
	k.kind.rport, k.kind.laddr, k.kind.lport = 0, netip.Addr{}, 0
}

// accept accepts a connection of the client's, with or without asking for the peer's address.
func (k *sock) accept(client *sock, call string) *sock {
	k.s.t.Helper()
	c, err := k.tryAccept(client, call)
	if err != nil {
		k.s.t.Fatalf("accept: %v", err)
	}
	return c
}

const (
	withAddress    = "accept"
	withoutAddress = "accept-without-address"
)

func (k *sock) tryAccept(client *sock, call string) (*sock, error) {
	k.s.t.Helper()
	connection := &kind{proto: unix.IPPROTO_TCP, lport: k.kind.lport, rport: client.kind.lport}
	before := now(k.s.t)
	a, _, err := k.try(&order{Call: call, FD: k.fd})
	if err != nil {
		return nil, err
	}
	if a.Port != 0 && a.Port != connection.rport {
		k.s.t.Fatalf("accepted a connection from port %d, want %d", a.Port, connection.rport)
	}
	k.s.ownFrom(client.kind.began, connection, k.kind.holders...)
	k.s.ownFrom(before, connection, append(slices.Clone(k.kind.holders), k.process)...)
	if call == withAddress || k.s.seesAccept {
		k.s.own(connection, k.process)
	}
	return k.hold(a.FD, connection), nil
}

// send sends a payload on a connected socket.
func (k *sock) send() { k.s.t.Helper(); k.sendCall(&order{Call: "write", FD: k.fd, Args: []int{8}}) }

// sendTo sends a payload.
func (k *sock) sendTo(addr string) {
	k.s.t.Helper()
	k.sendCall(&order{Call: "sendto", FD: k.fd, Addr: addr, Args: []int{8, 0}})
}

func (k *sock) sendCall(o *order) {
	k.s.t.Helper()
	before := now(k.s.t)
	k.s.sent++
	if k.kind.lport != 0 {
		k.s.ownFrom(before, k.kind, append(k.s.owners(k.kind), k.process)...)
	}
	k.do(o)
	if k.kind.lport == 0 {
		k.learnPort()
		k.s.ownFrom(before, k.kind, k.process)
	}
	k.s.own(k.kind, k.process)
}

// receive reads a payload.
func (k *sock) receive() {
	k.s.t.Helper()
	k.s.own(k.kind, append(k.s.owners(k.kind), k.process)...)
	k.do(&order{Call: "read", FD: k.fd, Args: []int{4096}})
	if k.s.seesReceive {
		k.s.own(k.kind, k.process)
	}
}

func (k *sock) close() {
	k.s.t.Helper()
	k.drop()
	k.socks = slices.DeleteFunc(k.socks, func(other *sock) bool { return other == k })
	k.do(&order{Call: "close", FD: k.fd})
}

// giveTo passes the socket to another process by SCM_RIGHTS.
func (k *sock) giveTo(to *process) *sock {
	k.s.t.Helper()
	_, fds, err := k.try(&order{Call: "give", FD: k.fd})
	if err != nil || len(fds) != 1 {
		k.s.t.Fatal("give", fds, err)
	}
	a := to.do(&order{Call: "take"}, fds[0])
	unix.Close(fds[0])
	return to.has(k, a.FD)
}

// swap sends a payload each way between connected sockets.
func swap(a, b *sock) {
	a.s.t.Helper()
	a.send()
	b.receive()
	b.send()
	a.receive()
}

// unlessMissing reports whether the kernel has the sockets whose opening returned err. Kernels without are no reason to skip a test: the lab
// runs it.
func (s *scenario) unlessMissing(what string, err error) bool {
	s.t.Helper()
	switch err {
	case nil:
		return true
	case unix.EPROTONOSUPPORT, unix.ENOPROTOOPT, unix.EAFNOSUPPORT:
		s.t.Logf("this kernel has no %s: %v", what, err)
		return false
	}
	s.t.Fatal(err)
	return false
}
