// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// network is a way to reach the server.
type network struct{ domain, version, port int }

func (n network) at(port int) unix.Sockaddr {
	if n.version == 4 {
		return &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}
	}
	return &unix.SockaddrInet6{Addr: [16]byte{15: 1}, Port: port}
}

func (n network) server(proto int) workload.Endpoint { return workload.EndpointAt(n.at(n.port), proto) }

func (n network) socket(kind int) int {
	return workload.Must(unix.Socket(n.domain, kind|unix.SOCK_CLOEXEC, 0))
}

// bound returns a socket at the server's address.
func (n network) bound(kind int) int {
	fd := n.socket(kind)
	workload.Check("share an address", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
	workload.Check("bind", unix.Bind(fd, n.at(n.port)))
	return fd
}

// connected returns a socket that is connected to the server, and its own address.
func (n network) connected(kind, proto int) (int, workload.Endpoint) {
	fd := n.socket(kind)
	workload.Check("connect", unix.Connect(fd, n.at(n.port)))
	return fd, workload.EndpointAt(workload.Must(unix.Getsockname(fd)), proto)
}

// freePort returns a port that is free for all the server's sockets.
func freePort() int {
	for range 100 {
		first := network{unix.AF_INET, 4, 0}
		fd := first.bound(unix.SOCK_STREAM)
		port := workload.Must(unix.Getsockname(fd)).(*unix.SockaddrInet4).Port
		unix.Close(fd)
		if isFree(network{unix.AF_INET, 4, port}) && isFree(network{unix.AF_INET6, 6, port}) {
			return port
		}
	}
	workload.Check("find a free port", errors.New("there is none"))
	return 0
}

func isFree(n network) bool {
	for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
		fd := n.socket(kind)
		err := unix.Bind(fd, n.at(n.port))
		unix.Close(fd)
		if err != nil {
			return false
		}
	}
	return true
}

// room is for one message of any length.
func room() []byte { return make([]byte, 1<<16) }

// wantSame ends the workload if another message came.
func wantSame(what string, got, want []byte) {
	if string(got) != string(want) {
		workload.Check(what, errors.New("another message came"))
	}
}

var datagrams = transport{serveDatagrams, askDatagrams, unix.IPPROTO_UDP}

func serveDatagrams(t *thread, n network, exchanges []exchange, bound chan<- struct{}) {
	fd := n.bound(unix.SOCK_DGRAM)
	defer unix.Close(fd)
	close(bound)
	for _, e := range exchanges {
		buf := room()
		size, from, err := unix.Recvfrom(fd, buf, 0)
		workload.Check("receive", err)
		client := workload.EndpointAt(from, unix.IPPROTO_UDP)
		wantSame("receive a query", buf[:size], e.query.bytes)
		t.list(e.query, client, t.server, "HOST")
		t.list(e.answer, t.server, client, "OUTGOING")
		workload.Check("answer", unix.Sendto(fd, e.answer.bytes, 0, from))
	}
}

func askDatagrams(t *thread, n network, exchanges []exchange) {
	fd, client := n.connected(unix.SOCK_DGRAM, unix.IPPROTO_UDP)
	defer unix.Close(fd)
	for _, e := range exchanges {
		t.list(e.query, client, t.server, "OUTGOING")
		workload.Must(unix.Write(fd, e.query.bytes))
		buf := room()
		size := workload.Must(unix.Read(fd, buf))
		wantSame("receive an answer", buf[:size], e.answer.bytes)
		t.list(e.answer, t.server, client, "HOST")
	}
}

var streams = transport{serveStream, askStream, unix.IPPROTO_TCP}

func serveStream(t *thread, n network, exchanges []exchange, bound chan<- struct{}) {
	listener := n.bound(unix.SOCK_STREAM)
	defer unix.Close(listener)
	workload.Check("listen", unix.Listen(listener, 1))
	close(bound)
	fd, from, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	workload.Check("accept", err)
	defer unix.Close(fd)
	client := workload.EndpointAt(from, unix.IPPROTO_TCP)
	for _, e := range exchanges {
		wantSame("receive a query", receive(fd), e.query.bytes)
		t.list(e.query, client, t.server, "HOST")
		t.list(e.answer, t.server, client, "OUTGOING")
		workload.Must(unix.Write(fd, framed(e.answer)))
	}
}

// askStream sends every other query in two pieces: its length, and the rest.
func askStream(t *thread, n network, exchanges []exchange) {
	fd, client := n.connected(unix.SOCK_STREAM, unix.IPPROTO_TCP)
	defer unix.Close(fd)
	workload.Check("send at once", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	for i, e := range exchanges {
		t.list(e.query, client, t.server, "OUTGOING")
		b := framed(e.query)
		if i%2 == 1 {
			workload.Must(unix.Write(fd, b[:2]))
			b = b[2:]
		}
		workload.Must(unix.Write(fd, b))
		wantSame("receive an answer", receive(fd), e.answer.bytes)
		t.list(e.answer, t.server, client, "HOST")
	}
}

func framed(m *message) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(m.bytes))), m.bytes...)
}

// receive reads one message.
func receive(fd int) []byte {
	var all []byte
	for len(all) < 2 || len(all) < 2+int(binary.BigEndian.Uint16(all)) {
		buf := room()
		n := workload.Must(unix.Read(fd, buf))
		if n == 0 {
			workload.Check("receive", errors.New("the connection has ended"))
		}
		all = append(all, buf[:n]...)
	}
	return all[2:]
}
