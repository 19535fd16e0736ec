// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// frame is a packet and what tcpdump says about it when it comes in.
type frame struct {
	bytes      []byte
	direction  string
	packetType int
	summary    string

	vlan     uint32 // protocol and tag; 0: none
	untagged string // the summary without the tag
}

var (
	someone   = [6]byte{2, 0, 0, 0, 0, 2}
	everyone  = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	aGroup    = [6]byte{0x33, 0x33, 0, 0, 0, 1}
	addresses = []byte{10, 9, 8, 1, 10, 9, 8, 2}
)

// frames are the packets of the workload. No socket here is for one of them, so the kernel answers none.
func frames() []frame {
	udp := func(n int) string { return fmt.Sprintf("10.9.8.1:19 > 10.9.8.2:9 UDP len %d", n) }
	tagged := ethernet(someone, 0x8100, binary.BigEndian.AppendUint16([]byte{0x20, 7}, 0x0800), ip4(17, udpHeader(4), []byte("vlan")))
	arp := append([]byte{0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 9, 8, 1, 0, 0, 0, 0, 0, 0}, 10, 9, 8, 2)
	tcp := []byte{0, 19, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0xfa, 0xf0, 0, 0, 0, 0}
	ip6 := append(append([]byte{0x60, 0, 0, 0, 0, 12, 17, 64}, address6(1)...), address6(2)...)
	return []frame{
		{bytes: ethernet(someone, 0x0800, ip4(17, udpHeader(5), []byte("hello"))), direction: "in", summary: udp(5)},
		{bytes: ethernet(someone, 0x0800, ip4(6, tcp, []byte("GET /"))), direction: "in", summary: "10.9.8.1:19 > 10.9.8.2:9 TCP [P.] len 5"},
		{bytes: ethernet(everyone, 0x0806, arp), direction: "broadcast", packetType: 1, summary: "ARP who has 10.9.8.2 tell 10.9.8.1"},
		{bytes: ethernet(aGroup, 0x86dd, ip6, udpHeader(4), []byte("six!")), direction: "multicast", packetType: 2, summary: "[fd00::1]:19 > [fd00::2]:9 UDP len 4"},
		{bytes: tagged, direction: "in", summary: "VLAN 7 " + udp(4), vlan: 0x81002007, untagged: udp(4)},
		{bytes: ethernet(someone, 0x0800, ip4(17, udpHeader(snaplen-42), make([]byte, snaplen-42))), direction: "in", summary: udp(snaplen - 42)},
		{bytes: ethernet(someone, 0x0800, ip4(17, udpHeader(1400), make([]byte, 1400))), direction: "in", summary: udp(1400)},
		{bytes: ethernet(someone, 0x88b5, []byte{1}), direction: "in", summary: "02:00:00:00:00:01 > 02:00:00:00:00:02 type 0x88b5"},
	}
}

// ethernet returns a frame to an address.
func ethernet(to [6]byte, kind uint16, parts ...[]byte) []byte {
	f := append(to[:], 2, 0, 0, 0, 0, 1)
	f = binary.BigEndian.AppendUint16(f, kind)
	for _, p := range parts {
		f = append(f, p...)
	}
	return f
}

// ip4 returns a packet of IPv4 with the right checksum.
func ip4(protocol byte, parts ...[]byte) []byte {
	h := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0}
	h = append(h, addresses...)
	p := h
	for _, part := range parts {
		p = append(p, part...)
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(p[10:], ^uint16(sum>>16+sum))
	return p
}

func udpHeader(n int) []byte { return []byte{0, 19, 0, 9, byte((n + 8) >> 8), byte(n + 8), 0, 0} }

func address6(n byte) []byte { return []byte{0: 0xfd, 15: n} }

// event returns the event for a packet, without its direction.
func (i *tap) event(packet []byte, summary string) Event {
	n := min(len(packet), snaplen)
	return Event{
		IfIndex: i.index, IfName: i.name, NetnsID: i.netns, PayloadLen: n, PacketSize: len(packet),
		Payload: hex.EncodeToString(packet[:n]), Summary: summary,
	}
}
