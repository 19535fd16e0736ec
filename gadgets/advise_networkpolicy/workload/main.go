// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload makes connections between this network namespace and another, in the ways that advise_networkpolicy distinguishes.
//
//	workload DIR
//
// DIR is not used. A virtual cable connects the two namespaces; both go with the process.
package main

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(string) error {
	peer := workload.Must(workload.NewNetwork())
	workload.Check("connect the networks", connect(peer))
	netns := workload.Must(workload.Namespace("/proc/thread-self/ns/net"))
	var tasks []workload.Task[Row]
	for _, n := range networks() {
		c := &cable{network: n, netns: netns, peer: peer}
		c.prepare()
		tasks = append(tasks, c.use)
	}
	args := []string{"--host", "--map-fetch-interval", "0", "-F", `local.addr~^(198\.51\.100\.1|2001:db8:15::1)$`}
	err := workload.Cause(args, workload.InTurn(tasks...))
	return errors.Join(err, disconnect())
}

// Row is a row of advise_networkpolicy.
type Row struct {
	NetnsID  uint64            `json:"netns_id"`
	Endpoint workload.Endpoint `json:"endpoint"`
	Egress   int               `json:"egress"`
	Local    Address           `json:"local"`
}

// Address is an address in the form of events.
type Address struct {
	Addr    string `json:"addr"`
	Version int    `json:"version"`
}

// Ports of the other namespace, where nothing else uses any.
const (
	tcpPort     = 5432
	closedPort  = 5433
	udpPort     = 53
	olderPort   = 123
	warmUpPort  = 9
	clientsPort = 0 // the kernel chooses
)

// cable is the connection of one family.
type cable struct {
	network
	netns uint64
	peer  *workload.Network

	// Sockets of the other namespace: servers, clients, and one that answers something that was asked before.
	tcpServer, udpServer, older int
	tcpClients                  []int
	udpClient                   int
	rows                        []Row
}

// prepare makes the sockets of the other namespace, and waits until packets pass.
func (c *cable) prepare() {
	_, err := workload.OnThread("", func(*workload.Thread[Row]) error {
		workload.Check("enter the other network", c.peer.Enter())
		c.tcpServer = c.bound(unix.SOCK_STREAM, c.there, tcpPort)
		workload.Check("listen", unix.Listen(c.tcpServer, 8))
		c.udpServer = c.bound(unix.SOCK_DGRAM, c.there, udpPort)
		c.older = c.bound(unix.SOCK_DGRAM, c.there, olderPort)
		for range 3 {
			c.tcpClients = append(c.tcpClients, c.bound(unix.SOCK_STREAM, c.there, clientsPort))
		}
		c.udpClient = c.bound(unix.SOCK_DGRAM, c.there, clientsPort)
		return nil
	})()
	workload.Check("prepare the other network", err)
	c.warmUp()
}

// use makes connections and lists the rows.
func (c *cable) use() ([]Row, error) {
	c.clientOfTCP()
	c.serverOfTCP()
	c.refused()
	c.clientOfUDP()
	c.serverOfUDP()
	c.olderFlow()
	c.toItself()
	c.toMany()
	return c.rows, nil
}
