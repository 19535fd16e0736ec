// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload has connections with known round-trip times.
//
//	workload DIR
//
// The other ends are in the workload itself, behind a network interface in a network namespace of its own. They answer the first packet
// of a connection after a known time, and then send packets, which acknowledge nothing; so the kernel measures one time for each
// connection. DIR is not used.
package main

import (
	"io"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// The ports that the gadget is to count, and others.
const (
	here, there           = 6000, 7000
	otherHere, otherThere = 6001, 7001
)

func main() { workload.Main(run) }

func run(string) error {
	w := world{Network: workload.Must(workload.NewNetwork())}
	if _, err := w.onThread(func(*thread) { w.peers = newPeers() })(); err != nil {
		return err
	}
	args := []string{"--map-fetch-interval", "0", "--per-address", "--sport", strconv.Itoa(here), "--dport", strconv.Itoa(there)}
	var tasks []workload.Task[Row]
	for _, c := range connections() {
		tasks = append(tasks, w.onThread(func(t *thread) { connect(t, c) }))
	}
	return workload.Cause(args, workload.AtOnce(tasks...))
}

// Row is a row of profile_tcprtt, with the fields that are known in advance.
type Row struct {
	NetnsID uint64     `json:"netns_id"`
	Remote  Remote     `json:"remote"`
	Latency [27]uint32 `json:"latency"`
}

// Remote is the address of the other end.
type Remote struct {
	Addr    string `json:"addr"`
	Version int    `json:"version"`
}

type world struct {
	*workload.Network
	peers *peers
}

type thread struct {
	*workload.Thread[Row]
	world
}

func (w *world) onThread(do func(*thread)) workload.Task[Row] {
	return workload.OnThread("tcprtt", func(t *workload.Thread[Row]) error {
		workload.Check("enter", w.Enter())
		do(&thread{t, *w})
		return nil
	})
}

// connection is what a thread connects to, and what it gets from there.
type connection struct {
	remote  netip.AddrPort
	mapped  bool // through a socket of IPv6
	local   int
	packets int
	after   time.Duration
	slot    int // has times from 2^(slot-1) µs up to 2^slot; 0: the gadget leaves the connection out
}

// connections are those of the workload. An answer may be late, but not early, so each time is a little longer than the shortest of its slot.
func connections() []connection {
	at := func(addr string, port uint16) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(addr), port)
	}
	return []connection{
		{remote: at("192.0.2.2", there), local: here, packets: 50, after: 270 * time.Millisecond, slot: 19},
		{remote: at("192.0.2.3", there), local: here, packets: 7, after: 530 * time.Millisecond, slot: 20, mapped: true},
		{remote: at("2001:db8::2", there), local: here, packets: 20, after: 140 * time.Millisecond, slot: 18},
		{remote: at("192.0.2.2", otherThere), local: here, packets: 5, after: time.Millisecond},
		{remote: at("192.0.2.2", there), local: otherHere, packets: 3, after: time.Millisecond},
	}
}

// connect connects, and receives packets after that.
func connect(t *thread, c connection) {
	peer := t.peers.add(c.remote, uint16(c.local), c.after)
	fd := c.socket()
	workload.Check("connect", unix.Connect(fd, c.address(c.remote)))
	// The thread does not read meanwhile: the kernel joins packets that come then.
	peer.send(c.packets)
	_, err := io.ReadFull(os.NewFile(uintptr(workload.Must(unix.Dup(fd))), "connection"), make([]byte, c.packets))
	workload.Check("receive", err)
	// Without a farewell, to which the other end would have to answer.
	workload.Check("linger", unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
	workload.CloseFD(fd)
	if c.slot > 0 {
		row := Row{NetnsID: t.ID, Remote: Remote{c.remote.Addr().String(), 6}}
		if c.remote.Addr().Is4() {
			row.Remote.Version = 4
		}
		row.Latency[c.slot] = uint32(c.packets)
		t.Events = append(t.Events, row)
	}
}

// socket returns a socket with the port at this end. Connections to different places can have the same.
func (c connection) socket() int {
	domain, any := unix.AF_INET, netip.IPv4Unspecified()
	if c.mapped || c.remote.Addr().Is6() {
		domain, any = unix.AF_INET6, netip.IPv6Unspecified()
	}
	fd := workload.Must(unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP))
	workload.Check("share the port", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
	workload.Check("bind", unix.Bind(fd, c.address(netip.AddrPortFrom(any, uint16(c.local)))))
	return fd
}

func (c connection) address(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() && !c.mapped {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}
