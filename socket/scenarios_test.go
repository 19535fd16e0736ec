// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// play is a scenario's script.
type play struct {
	name   string
	script func(*scenario)
}

// plays are situations in which it is hard to tell whose a packet is. Each has a network namespace of its own, so all use the same ports.
func plays() []play {
	return []play{
		// The slow ones first: they wait while others run.
		{"hotrestart", hotRestart},
		{"closelisten", closedListener},

		{"plain", plainConnections},
		{"reuseport", func(s *scenario) { sharedListeners(s, 2) }},
		{"reuseport3", func(s *scenario) { sharedListeners(s, 3) }},
		{"forkserver", func(s *scenario) { forkedServer(s, withAddress) }},
		{"forknull", func(s *scenario) { forkedServer(s, withoutAddress) }},
		{"forkafter", forkAfterAccept},
		{"scmrights", func(s *scenario) { passedDatagramSocket(s, false) }},
		{"scmconn", func(s *scenario) { passedDatagramSocket(s, true) }},
		{"scmconnection", passedConnection},
		{"udpauto", func(s *scenario) { shortDatagramSockets(s, false) }},
		{"udpconn", func(s *scenario) { shortDatagramSockets(s, true) }},
		{"udpreuse", reusedPort},
		{"udpreuseconn", reusedPortOfConnected},
		{"udpaddrs", twoAddresses},
		{"udpshare", func(s *scenario) { sharedSenders(s, false) }},
		{"udpshareconn", func(s *scenario) { sharedSenders(s, true) }},
		{"udpgroup", sharedReceivers},
		{"tcpshare", sharedLocalPort},
		{"tcpagain", sameEndsAgain},
		{"mapped", mappedAddresses},
		{"outlive", outlivingProcess},
		{"sameport", samePort},
		{"execafter", execAfterBind},
		{"netns", leftNamespace},
		{"autolisten", listenWithoutBind},
		{"nonblock", nonblockingConnect},
		{"refused", refusedConnections},
		{"stopped", stoppedServer},
		{"reconnect", reconnected},
		{"udpagain", disconnected},
		{"bind0rcv", anyAddressServer},
		{"speakfirst", serverSpeaksFirst},
		{"loopback6", func(s *scenario) { overIPv6(s, "[::1]") }},
		{"linklocal", func(s *scenario) { overIPv6(s, "[fe80::1%lo]") }},
		{"mptcp", multipath},
		{"fastopen", fastOpen},
	}
}

// In each scenario every packet has the right owner. Where the kernel has not decided yet whose a packet will be, the owner is one of those
// that are possible, and is marked.
func TestScenarios(t *testing.T) {
	playAll(t, startOwners(t, nil), plays())
}

// The same where the kernel does not let programs run when functions return, for scenarios in which processes accept.
func TestScenariosWithoutFunctions(t *testing.T) {
	owners := startOwners(t, &Options{metadata: []byte("name: owners\nprograms:\n  on_accepted: {attach_to: gadget_program_disabled}\n")})
	if owners.has("on_accepted") || !owners.has("on_peer4") || !owners.has("on_peer6") {
		t.Error("the other way to see who accepts was not chosen")
	}
	accepting := []string{"plain", "reuseport", "forkserver", "forknull", "forkafter", "mapped", "speakfirst", "loopback6"}
	playAll(t, owners, slices.DeleteFunc(plays(), func(p play) bool { return !slices.Contains(accepting, p.name) }))
}

func playAll(t *testing.T, owners *Owners, plays []play) {
	t.Helper()
	w := watch(t, owners, nil, "tap", "socks")
	var tables sync.Mutex
	var all []string
	t.Run("play", func(t *testing.T) {
		for _, play := range plays {
			t.Run(play.name, func(t *testing.T) {
				t.Parallel()
				s := newScenario(t, w, owners)
				play.script(s)
				text := table(play.name, s.check(s.packets(w)))
				tables.Lock()
				defer tables.Unlock()
				all = append(all, text)
			})
		}
	})
	t.Log(strings.Join(all, ""))
	full, err := owners.Full()
	if err != nil || full > 0 {
		t.Error("sockets without room:", full, err)
	}
}

// listener is a socket of a process that listens.
func (p *process) listener(addr string) *sock {
	p.s.t.Helper()
	return p.tcp().set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1).bind(addr).listen()
}

// client is a socket of a process that is connected.
func (p *process) client(addr string) *sock {
	p.s.t.Helper()
	return p.tcp().mustConnect(addr)
}

// serve accepts a connection of the client's, exchanges data and closes both ends.
func serve(l, client *sock, call string) {
	l.s.t.Helper()
	c := l.accept(client, call)
	swap(client, c)
	client.close()
	c.close()
}

func plainConnections(s *scenario) {
	l := s.process("server").listener("127.0.0.1:80")
	client := s.process("client")
	for range 3 {
		serve(l, client.client("127.0.0.1:80"), withAddress)
	}
}

// Several processes listen on a port. The kernel chooses one when the first packet has come in.
func sharedListeners(s *scenario, n int) {
	var listeners []*sock
	for i := range n {
		k := s.process(fmt.Sprint("server", i)).mustOpen(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		listeners = append(listeners, k.sharesPort().bind("127.0.0.1:80").listen())
	}
	client := s.process("client")
	for range 20 {
		c := client.client("127.0.0.1:80")
		if !serveByAny(s, listeners, c) {
			s.t.Fatal("no server has the connection")
		}
	}
}

func serveByAny(s *scenario, listeners []*sock, client *sock) bool {
	s.t.Helper()
	for _, l := range listeners {
		c, err := l.tryAccept(client, withoutAddress)
		if errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		swap(client, c)
		client.close()
		c.close()
		return true
	}
	return false
}

// A process listens, and its child accepts.
func forkedServer(s *scenario, call string) {
	l := s.process("parent").listener("127.0.0.1:80")
	_, shared := l.child("child", l)
	client := s.process("client")
	for range 5 {
		serve(shared[0], client.client("127.0.0.1:80"), call)
	}
}

// A process accepts, and a child of it for each connection does the rest.
func forkAfterAccept(s *scenario) {
	l := s.process("parent").listener("127.0.0.1:80")
	client := s.process("client")
	for i := range 5 {
		c := client.client("127.0.0.1:80")
		accepted := l.accept(c, withoutAddress)
		child, shared := l.child(fmt.Sprint("child", i), accepted)
		accepted.close()
		swap(c, shared[0])
		child.close()
		c.close()
	}
}

// A process passes a socket for UDP to another and ends.
func passedDatagramSocket(s *scenario, connected bool) {
	opener, user := s.process("opener"), s.process("user")
	k := opener.udp()
	if connected {
		k.mustConnect(sink(0))
		k.send()
	} else {
		k.bind("127.0.0.1:80")
	}
	passed := k.giveTo(user)
	opener.close()
	for range 3 {
		if connected {
			passed.send()
		} else {
			passed.sendTo(sink(0))
		}
	}
}

// The same for both ends of a connection.
func passedConnection(s *scenario) {
	l := s.process("server").listener("127.0.0.1:80")
	c := s.process("client").client("127.0.0.1:80")
	accepted := l.accept(c, withAddress)
	swap(c, accepted)
	server2, client2 := s.process("server2"), s.process("client2")
	passed, passed2 := accepted.giveTo(server2), c.giveTo(client2)
	swap(passed2, passed)
	accepted.close()
	c.close()
	swap(passed2, passed)
	client2.close()
	server2.close()
}

// Sockets that live for one datagram.
func shortDatagramSockets(s *scenario, connected bool) {
	for i := range 4 {
		p := s.process(fmt.Sprint("sender", i))
		for range 5 {
			k := p.udp()
			if connected {
				k.mustConnect(sink(0))
				k.send()
			} else {
				k.sendTo(sink(0))
			}
			if i%2 == 0 {
				k.close()
			}
		}
		p.close()
	}
}

// One process after the other uses a port.
func reusedPort(s *scenario) {
	processes := []*process{s.process("one"), s.process("two"), s.process("three")}
	for i := range 30 {
		k := processes[i%3].udp().bind("127.0.0.1:80")
		k.sendTo(sink(0))
		k.close()
	}
}

// The same, where one was connected to the peer of the next one.
func reusedPortOfConnected(s *scenario) {
	first := s.process("first").udp().bind("127.0.0.1:80").mustConnect(sink(0))
	first.send()
	first.close()
	second := s.process("second").udp().bind("127.0.0.1:80")
	second.sendTo(sink(0))
	second.close()
	s.process("third").udp().bind("0.0.0.0:80").sendTo(sink(0))
}

// Two processes have the same port on two addresses.
func twoAddresses(s *scenario) {
	one, two := s.process("one").udp().bind("127.0.0.1:80"), s.process("two").udp().bind("127.0.0.2:80")
	client := s.process("client").udp()
	for range 5 {
		one.sendTo(sink(0))
		two.sendTo(sink(0))
		client.sendTo("127.0.0.1:80")
		client.sendTo("127.0.0.2:80")
	}
}

// Two processes send from a port that they share.
func sharedSenders(s *scenario, connected bool) {
	var shared []*sock
	for i := range 2 {
		shared = append(shared, s.process(fmt.Sprint("sender", i)).udp().sharesPort().bind("127.0.0.1:80"))
		if connected {
			shared[i].mustConnect(sink(i))
		}
	}
	for i := range 10 {
		if connected {
			shared[i%2].send()
		} else {
			shared[i%2].sendTo(sink(0))
		}
	}
}

// Two processes receive on a port that they share: the kernel chooses one for each datagram after programs have seen it.
func sharedReceivers(s *scenario) {
	for i := range 2 {
		s.process(fmt.Sprint("receiver", i)).udp().sharesPort().bind("127.0.0.1:80")
	}
	client := s.process("client")
	for range 8 {
		client.udp().sendTo("127.0.0.1:80")
	}
}

// Two processes are connected from the same local port to different peers.
func sharedLocalPort(s *scenario) {
	var clients, servers []*sock
	for i := range 2 {
		port := fmt.Sprintf("127.0.0.1:%d", 81+i)
		l := s.process(fmt.Sprint("server", i)).listener(port)
		c := s.process(fmt.Sprint("client", i)).tcp().sharesPort().bind("127.0.0.1:4000").mustConnect(port)
		clients, servers = append(clients, c), append(servers, l.accept(c, withAddress))
	}
	for range 2 {
		for i := range clients {
			swap(clients[i], servers[i])
		}
	}
	for i := range clients {
		clients[i].close()
		servers[i].close()
	}
}

// A connection has the same ends as one before, of which the server's end was another process.
func sameEndsAgain(s *scenario) {
	l := s.process("parent").listener("127.0.0.1:80")
	client := s.process("client")
	for i := range 4 {
		c := client.tcp().set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1).bind("127.0.0.1:4000").mustConnect("127.0.0.1:80")
		accepted := l.accept(c, withAddress)
		child, shared := l.child(fmt.Sprint("child", i), accepted)
		accepted.close()
		swap(c, shared[0])
		child.close() // first, so that the client's port can be used again
		c.close()
	}
}

// hasIPv6 reports whether the kernel has IPv6.
func (s *scenario) hasIPv6() bool {
	s.t.Helper()
	k, err := s.root.open(unix.AF_INET6, unix.SOCK_DGRAM, 0)
	if s.unlessMissing("IPv6", err) {
		k.close()
		return true
	}
	return false
}

// Sockets for IPv6 that have packets of IPv4.
func mappedAddresses(s *scenario) {
	if !s.hasIPv6() {
		return
	}
	l := s.process("server").tcp6().bind("[::]:80").listen()
	client := s.process("client")
	for range 3 {
		serve(l, client.client("127.0.0.1:80"), withAddress)
	}
	c := client.tcp6().mustConnect("[::ffff:127.0.0.1]:80")
	serve(l, c, withAddress)
	auto, connected := s.process("sender").udp6(), s.process("sender6").udp6().mustConnect("[::1]:9")
	for range 3 {
		auto.sendTo("[::ffff:127.0.0.1]:9")
		connected.send()
	}
}

// A client writes more than fits and ends. The rest goes out when the server reads.
func outlivingProcess(s *scenario) {
	l := s.process("server").listener("127.0.0.1:80")
	p := s.process("client")
	k := p.mustOpen(unix.AF_INET, unix.SOCK_STREAM)
	k.mustConnect("127.0.0.1:80")
	accepted := l.accept(k, withoutAddress)
	const size = 200 << 10
	k.do(&order{Call: "write", FD: k.fd, Args: []int{size}})
	s.sent++
	p.close()
	for range 60 {
		accepted.receive()
	}
	accepted.process.close()
}

// A client's local port is another process's listening port on another address.
func samePort(s *scenario) {
	other := s.process("other").listener("127.0.0.2:80")
	l := s.process("server").listener("127.0.0.1:81")
	c := s.process("client").tcp().set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1).bind("127.0.0.1:80").mustConnect("127.0.0.1:81")
	accepted := l.accept(c, withAddress)
	c2 := s.process("client2").client("127.0.0.2:80")
	accepted2 := other.accept(c2, withAddress)
	swap(c, accepted)
	swap(c2, accepted2)
	for _, k := range []*sock{c, accepted, c2, accepted2} {
		k.close()
	}
}

// A process runs another program, which uses the socket.
func execAfterBind(s *scenario) {
	k := s.process("before").udp().bind("127.0.0.1:80")
	k.sendTo(sink(0))
	k.exec("after")
	k.sendTo(sink(0))
}

// A process uses a socket of the network namespace that it has left.
func leftNamespace(s *scenario) {
	k := s.process("leaver").udp().bind("127.0.0.1:80")
	k.do(&order{Call: "unshare"})
	for range 3 {
		k.sendTo(sink(0))
	}
}

// The kernel chooses the port after it has told that the socket listens. So what comes in before the first answer has no owner.
func listenWithoutBind(s *scenario) {
	l := s.process("server").tcp().listen()
	addr := fmt.Sprintf("127.0.0.1:%d", l.kind.lport)
	client := s.process("client")
	first := client.client(addr)
	port := first.kind.lport
	s.mayLack = func(p *packet) bool { return p.isFirst() && !p.outgoing && int(p.rport) == port }
	serve(l, first, withoutAddress)
	for range 2 {
		serve(l, client.client(addr), withoutAddress)
	}
}

func nonblockingConnect(s *scenario) {
	l := s.process("server").listener("127.0.0.1:80")
	k := s.process("client").mustOpen(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
	if err := k.connect("127.0.0.1:80"); !errors.Is(err, unix.EINPROGRESS) {
		s.t.Fatal(err)
	}
	accepted := l.accept(k, withAddress)
	k.send()
	accepted.receive()
	accepted.send()
	k.close()
	accepted.close()
}

// Nothing listens on the port.
func refusedConnections(s *scenario) {
	s.own(&kind{proto: unix.IPPROTO_TCP, lport: 79}) // nothing owns it
	for i := range 5 {
		p := s.process(fmt.Sprint("client", i))
		k := p.tcp()
		if i > 0 {
			k.bind(fmt.Sprintf("127.0.0.1:%d", 80+i))
		}
		if err := k.connect("127.0.0.1:79"); !errors.Is(err, unix.ECONNREFUSED) {
			s.t.Fatal(err)
		}
		p.close()
	}
}

// A server has ended, and clients still connect.
func stoppedServer(s *scenario) {
	l := s.process("server").listener("127.0.0.1:80")
	client := s.process("client")
	serve(l, client.client("127.0.0.1:80"), withAddress)
	l.process.close()
	s.own(l.kind) // nothing owns it
	if err := client.tcp().connect("127.0.0.1:80"); !errors.Is(err, unix.ECONNREFUSED) {
		s.t.Fatal(err)
	}
}

// A socket for UDP gets one peer after the other.
func reconnected(s *scenario) {
	k := s.process("client").udp()
	for i := range sinks {
		k.mustConnect(sink(i))
		k.send()
	}
}

// A socket for UDP loses its peer and is used on.
func disconnected(s *scenario) {
	k := s.process("client").udp().mustConnect(sink(0))
	k.send()
	k.disconnect()
	k.sendTo(sink(1))
	k.sendTo(sink(2))
	k.mustConnect(sink(3))
	k.send()
	bound := s.process("bound").udp().bind("127.0.0.1:80").mustConnect(sink(0))
	bound.send()
	bound.disconnect()
	bound.sendTo(sink(1))
}

// A server on all addresses answers.
func anyAddressServer(s *scenario) {
	server := s.process("server").udp().bind("0.0.0.0:80")
	client := s.process("client").udp().mustConnect("127.0.0.1:80")
	for range 3 {
		client.send()
		server.receive()
		server.sendTo(fmt.Sprintf("127.0.0.1:%d", client.kind.lport))
		client.receive()
	}
}

// The child's first use of a connection is to send.
func serverSpeaksFirst(s *scenario) {
	l := s.process("parent").listener("127.0.0.1:80")
	child, shared := l.child("child", l)
	c := s.process("client").client("127.0.0.1:80")
	accepted := shared[0].accept(c, withoutAddress)
	helper, passed := child.child("helper", accepted)
	accepted.close()
	passed[0].send()
	c.receive()
	c.send()
	c.close()
	helper.close()
}

// wait is longer than other programs remember a port after a socket on it was closed.
const wait = 8 * time.Second

// One of two processes that listen on a port ends: the first one, or the second.
func hotRestart(s *scenario) {
	client := s.process("client")
	left := make([]*sock, 2)
	for i := range left {
		addr := fmt.Sprintf("127.0.0.1:%d", 81+i)
		one := s.process("one").tcp().sharesPort().bind(addr).listen()
		two := s.process("two").tcp().sharesPort().bind(addr).listen()
		left[i] = []*sock{one, two}[i]
		[]*sock{two, one}[i].process.close()
	}
	time.Sleep(wait)
	for i, l := range left {
		for range 3 {
			serve(l, client.client(fmt.Sprintf("127.0.0.1:%d", 81+i)), withAddress)
		}
	}
}

// A server closes its listening socket and keeps a connection.
func closedListener(s *scenario) {
	l := s.process("server").listener("127.0.0.1:80")
	c := s.process("client").client("127.0.0.1:80")
	accepted := l.accept(c, withoutAddress)
	l.close()
	time.Sleep(wait)
	swap(c, accepted)
	c.close()
	accepted.close()
}

func overIPv6(s *scenario, host string) {
	if !s.hasIPv6() {
		return
	}
	l := s.process("server").tcp6().bind(host + ":80").listen()
	client := s.process("client")
	for range 2 {
		serve(l, client.tcp6().mustConnect(host+":80"), withAddress)
	}
	server, sender := s.process("receiver").udp6().bind(host+":81"), client.udp6().mustConnect(host+":81")
	for range 2 {
		sender.send()
		server.receive()
		server.sendTo(fmt.Sprintf("%s:%d", host, sender.kind.lport))
		sender.receive()
	}
	client.udp6().sendTo(host + ":81")
}

// Both ends use Multipath TCP.
func multipath(s *scenario) {
	l, err := s.process("server").open(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP)
	if !s.unlessMissing("Multipath TCP", err) {
		return
	}
	l.bind("127.0.0.1:80").listen()
	c, err := s.process("client").open(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP)
	if err != nil {
		s.t.Fatal(err)
	}
	serve(l, c.mustConnect("127.0.0.1:80"), withAddress)
}

// The first packet of a connection has data.
func fastOpen(s *scenario) {
	const always = "1543" // client, server, without cookies, for all listeners
	s.root.do(&order{Call: "write-file", Path: "/proc/sys/net/ipv4/tcp_fastopen", Addr: always})
	l := s.process("server").tcp().bind("127.0.0.1:80")
	l.set(unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 5).listen()
	client := s.process("client")
	for range 2 {
		k := client.tcp()
		k.kind.began = now(s.t)
		k.do(&order{Call: "sendto", FD: k.fd, Addr: "127.0.0.1:80", Args: []int{8, unix.MSG_FASTOPEN}})
		s.sent++
		k.connected(k.kind.began, "127.0.0.1:80")
		accepted := l.accept(k, withAddress)
		accepted.receive()
		accepted.send()
		k.receive()
		k.close()
		accepted.close()
	}
}
