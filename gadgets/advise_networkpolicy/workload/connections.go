// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// list lists a connection with the other namespace; port is the server's.
func (c *cable) list(port, proto int, egress bool) {
	version := 4
	if c.here.Is6() {
		version = 6
	}
	r := Row{
		NetnsID: c.netns, Endpoint: workload.EndpointAt(c.at(c.there, port), proto), Local: Address{c.here.String(), version},
	}
	if egress {
		r.Egress = 1
	}
	c.rows = append(c.rows, r)
}

// clientOfTCP connects to the other namespace three times, which is one row, and exchanges data.
func (c *cable) clientOfTCP() {
	for range 3 {
		client := c.bound(unix.SOCK_STREAM, c.here, clientsPort)
		workload.Check("connect", unix.Connect(client, c.at(c.there, tcpPort)))
		server, _, err := unix.Accept4(c.tcpServer, unix.SOCK_CLOEXEC)
		workload.Check("accept", err)
		exchange(client, server)
	}
	c.list(tcpPort, unix.IPPROTO_TCP, true)
}

// exchange sends data in both directions and closes the connection.
func exchange(client, server int) {
	for _, way := range [][2]int{{client, server}, {server, client}} {
		workload.Must(unix.Write(way[0], []byte("data")))
		workload.Must(unix.Read(way[1], make([]byte, 10)))
	}
	workload.CloseFD(client)
	workload.CloseFD(server)
}

// serverOfTCP gets connections of the other namespace, which are one row.
func (c *cable) serverOfTCP() {
	listener := c.bound(unix.SOCK_STREAM, c.here, clientsPort)
	defer unix.Close(listener)
	workload.Check("listen", unix.Listen(listener, 8))
	for _, client := range c.tcpClients[:2] {
		workload.Check("connect", unix.Connect(client, c.at(c.here, portOf(listener))))
		server, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		workload.Check("accept", err)
		exchange(client, server)
	}
	c.list(portOf(listener), unix.IPPROTO_TCP, false)
}

// refused connects to a port without a listener.
func (c *cable) refused() {
	client := c.bound(unix.SOCK_STREAM, c.here, clientsPort)
	defer unix.Close(client)
	workload.Want("connect", unix.Connect(client, c.at(c.there, closedPort)), unix.ECONNREFUSED)
	c.list(closedPort, unix.IPPROTO_TCP, true)
}

// ask sends a datagram and has it answered, twice.
func (c *cable) ask(client, server int, to unix.Sockaddr) {
	for range 2 {
		workload.Check("send", unix.Sendto(client, []byte("question"), 0, to))
		_, from, err := unix.Recvfrom(server, make([]byte, 10), 0)
		workload.Check("receive", err)
		workload.Check("answer", unix.Sendto(server, []byte("answer"), 0, from))
		_, _, err = unix.Recvfrom(client, make([]byte, 10), 0)
		workload.Check("receive the answer", err)
	}
}

// clientOfUDP asks the other namespace from two ports, which is one row.
func (c *cable) clientOfUDP() {
	for range 2 {
		client := c.bound(unix.SOCK_DGRAM, c.here, clientsPort)
		c.ask(client, c.udpServer, c.at(c.there, udpPort))
		workload.CloseFD(client)
	}
	c.list(udpPort, unix.IPPROTO_UDP, true)
}

// serverOfUDP answers the other namespace, at a port that could be a client's.
func (c *cable) serverOfUDP() {
	server := c.bound(unix.SOCK_DGRAM, c.here, clientsPort)
	defer unix.Close(server)
	c.ask(c.udpClient, server, c.at(c.here, portOf(server)))
	c.list(portOf(server), unix.IPPROTO_UDP, false)
}

// olderFlow gets an answer to a question that was asked before gizmo ran.
func (c *cable) olderFlow() {
	client := c.bound(unix.SOCK_DGRAM, c.here, clientsPort)
	defer unix.Close(client)
	workload.Check("answer", unix.Sendto(c.older, []byte("answer"), 0, c.at(c.here, portOf(client))))
	_, _, err := unix.Recvfrom(client, make([]byte, 10), 0)
	workload.Check("receive the answer", err)
	c.list(olderPort, unix.IPPROTO_UDP, true)
}

// toItself stays within the namespace: no row.
func (c *cable) toItself() {
	listener := c.bound(unix.SOCK_STREAM, c.here, clientsPort)
	defer unix.Close(listener)
	workload.Check("listen", unix.Listen(listener, 8))
	client := c.bound(unix.SOCK_STREAM, c.here, clientsPort)
	workload.Check("connect", unix.Connect(client, c.at(c.here, portOf(listener))))
	server, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	workload.Check("accept", err)
	exchange(client, server)
}

// toMany sends to a group: no row.
func (c *cable) toMany() {
	fd := c.bound(unix.SOCK_DGRAM, c.here, clientsPort)
	defer unix.Close(fd)
	to := c.at(c.group, udpPort)
	index := workload.Must(indexOf(hereName))
	if to6, ok := to.(*unix.SockaddrInet6); ok {
		to6.ZoneId = uint32(index)
	} else {
		workload.Check("choose the interface", unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(index)}))
	}
	workload.Check("send to a group", unix.Sendto(fd, []byte("all"), 0, to))
}
