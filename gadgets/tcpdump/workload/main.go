// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload makes an interface and lets packets pass it in both directions.
//
//	workload DIR
//
// DIR is not used. The interface is a tap, so that the workload decides about each byte that comes in, and nothing else uses it.
package main

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func main() { workload.Main(run) }

func run(string) error {
	iface, err := newTap()
	if err != nil {
		return err
	}
	defer iface.close()
	return workload.Cause([]string{"--host", "--iface", iface.name, "--snaplen", "1000"}, workload.OnThread("tcpdump-packets", iface.packets))
}

const snaplen = 1000

// Event is an event of tcpdump, with the fields that are known in advance.
type Event struct {
	Proc       workload.Proc `json:"proc"` // of none: no socket has sent the packet, or gets it
	Direction  string        `json:"direction"`
	PacketType int           `json:"packet_type"`
	IfIndex    int           `json:"ifindex"`
	IfName     string        `json:"ifname"`
	NetnsID    uint64        `json:"netns_id"`
	PayloadLen int           `json:"payload_len"`
	PacketSize int           `json:"packet_size"`
	Payload    string        `json:"payload,omitempty"` // empty: not known in advance
	VLAN       uint32        `json:"vlan"`
	Summary    string        `json:"summary"`
}

// packets lets one packet of each kind pass.
func (i *tap) packets(t *workload.Thread[Event]) error {
	// Buffers of several CPUs are read in turn. On one CPU the order is certain.
	var cpus unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cpus); err != nil {
		return err
	}
	one := unix.CPUSet{}
	for cpu := 0; one.Count() == 0; cpu++ {
		if cpus.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return err
	}
	for _, f := range frames() {
		i.pass(t, f)
	}
	i.owned(t)
	return nil
}

// owned sends a packet by a socket, which is the thread's.
func (i *tap) owned(t *workload.Thread[Event]) {
	s := workload.Must(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0))
	defer unix.Close(s)
	// A group needs no neighbour that answers.
	group := &unix.SockaddrInet4{Addr: [4]byte{224, 0, 0, 199}, Port: 9}
	workload.Check("bind", unix.Bind(s, &unix.SockaddrInet4{Addr: ownAddress}))
	workload.Check("choose the interface", unix.SetsockoptIPMreqn(s, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(i.index)}))
	workload.Check("keep packets from coming back", unix.SetsockoptInt(s, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0))
	local, ok := workload.Must(unix.Getsockname(s)).(*unix.SockaddrInet4)
	if !ok {
		panic("another kind of address")
	}
	workload.Check("send to a group", unix.Sendto(s, []byte("mine"), 0, group))
	const size = 14 + 20 + 8 + 4
	t.Events = append(t.Events, Event{
		Proc: t.Proc, Direction: "out", PacketType: 4, IfIndex: i.index, IfName: i.name, NetnsID: i.netns, PayloadLen: size, PacketSize: size,
		Summary: fmt.Sprintf("%s:%d > 224.0.0.199:9 UDP len 4", netip.AddrFrom4(ownAddress), local.Port),
	})
}

// pass lets a frame pass in both directions.
func (i *tap) pass(t *workload.Thread[Event], f frame) {
	out := i.event(f.bytes, f.summary)
	out.Direction, out.PacketType = "out", 4
	i.send(f.bytes)
	t.Events = append(t.Events, out)

	// The kernel takes the tag away from packets that come in.
	bytes, summary := f.bytes, f.summary
	if f.vlan != 0 {
		bytes, summary = append(append([]byte{}, bytes[:12]...), bytes[16:]...), f.untagged
	}
	in := i.event(bytes, summary)
	in.Direction, in.PacketType, in.VLAN = f.direction, f.packetType, f.vlan
	i.receive(f.bytes)
	t.Events = append(t.Events, in)
}
