// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"
)

// The types of Ethernet frames.
const (
	typeIP   = 0x0800
	typeARP  = 0x0806
	typeRARP = 0x8035
	typeVLAN = 0x8100
	typeIP6  = 0x86dd
	typeMPLS = 0x8847
)

// The protocols of IP.
const (
	protoICMP  = 1
	protoTCP   = 6
	protoUDP   = 17
	protoFrag  = 44 // the header of fragments of IPv6
	protoICMP6 = 58
	protoSCTP  = 132
)

const (
	// maxFrame is the largest length of a frame whose type field is a length.
	maxFrame = 1500
	// maxOffset is the largest offset that expressions can name: packets are not longer.
	maxOffset = 0xffff
)

// generator makes formulas. It keeps where in the packet the header is that the next part of the expression is about.
type generator struct {
	fail func(at int, format string, args ...any) *formula
	// tagged: the kernel has taken a VLAN tag out of the packet.
	tagged   bool
	usesVLAN bool
	linkType int // offset of the type of the payload
	payload  int // offset of IP
	vlans    int // how many tags have been passed
	labels   int // how many labels of MPLS have been passed
	ppp      bool
}

// etherType is true for a type of payload.
func (g *generator) etherType(at int, frameType uint32) *formula {
	switch {
	case g.labels > 0:
		version := map[uint32]uint32{typeIP: 0x40, typeIP6: 0x60}[frameType]
		if version == 0 {
			return g.fail(at, "behind \"mpls\" only IP and IPv6 can be told apart")
		}
		return and(maskedEqual(g.payload-2, 1, 1, 1), maskedEqual(g.payload, 1, 0xf0, version))
	case g.ppp:
		if protocol, ok := map[uint32]uint32{typeIP: 0x21, typeIP6: 0x57, 0x6003: 0x27, 0x809b: 0x29, sapISO: 0x23, sapSTP: 0x31, sapIPX: 0x2b}[frameType]; ok {
			frameType = protocol
		}
		return equal(g.linkType, 2, frameType)
	case frameType <= maxFrame:
		return g.llc(frameType)
	case frameType == typeAppleTalk:
		return or(equal(g.linkType, 2, frameType), g.snap(0x080007, frameType))
	case frameType == typeAARP:
		return or(equal(g.linkType, 2, frameType), g.snap(0, frameType))
	}
	return equal(g.linkType, 2, frameType)
}

// vlan passes a VLAN tag.
func (g *generator) vlan(at int, number uint32, given bool) *formula {
	if g.labels > 0 || g.ppp {
		return g.fail(at, "there is no VLAN tag behind \"mpls\" or \"pppoes\"")
	}
	g.usesVLAN = true
	g.vlans++
	if g.tagged && g.vlans == 1 {
		if !given {
			return constant(true)
		}
		return leaf(test{code: []bpf.Instruction{
			bpf.LoadExtension{Num: bpf.ExtVLANTag}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xfff},
		}, cond: bpf.JumpEqual, with: number})
	}
	f := or(equal(g.linkType, 2, typeVLAN), equal(g.linkType, 2, 0x88a8), equal(g.linkType, 2, 0x9100))
	if given {
		f = and(f, maskedEqual(g.payload, 2, 0xfff, number))
	}
	g.linkType += 4
	g.payload += 4
	return f
}

// mpls passes a label of MPLS.
func (g *generator) mpls(at int, label uint32, given bool) *formula {
	f := (*formula)(nil)
	if g.labels == 0 {
		f = g.etherType(at, typeMPLS)
	} else {
		f = maskedEqual(g.payload-2, 1, 1, 0) // the label before is not the last one
	}
	if given {
		f = and(f, maskedEqual(g.payload, 4, 0xfffff000, label<<12))
	}
	g.labels++
	g.payload += 4
	return f
}

// pppoes passes the header of a PPPoE session.
func (g *generator) pppoes(at int, session uint32, given bool) *formula {
	if g.ppp {
		return g.fail(at, "there is no PPPoE in PPPoE")
	}
	f := g.etherType(at, 0x8864)
	if given {
		f = and(f, maskedEqual(g.payload, 4, 0xffff, session))
	}
	g.ppp = true
	g.linkType = g.payload + 6
	g.payload += 8
	return f
}

// protocol is true for packets of a protocol that has a name.
func (g *generator) protocol(at int, name string) *formula {
	if name == "ether" {
		return g.fail(at, "\"ether\" needs more: \"ether host\", \"ether proto\" and so on")
	}
	if t, ok := linkProtocols()[name]; ok {
		return g.etherType(at, t)
	}
	if n, ok := isoProtocols()[name]; ok {
		if g.ppp {
			return and(g.etherType(at, sapISO), equal(g.payload, 1, n))
		}
		return and(g.etherType(at, sapISO), equal(g.payload+3, 1, n))
	}
	p := ipProtocols()[name]
	switch p.in {
	case "ip":
		return g.inIP(at, p.number)
	case "ip6":
		return g.inIP6(at, p.number)
	}
	return g.inEither(at, p.number)
}

// inEither is true for a protocol in IP or IPv6.
func (g *generator) inEither(at int, number uint32) *formula {
	return or(g.inIP(at, number), g.inIP6(at, number))
}

func (g *generator) inIP(at int, number uint32) *formula {
	return and(g.etherType(at, typeIP), equal(g.payload+9, 1, number))
}

func (g *generator) inIP6(at int, number uint32) *formula {
	fragment := and(equal(g.payload+6, 1, protoFrag), equal(g.payload+40, 1, number))
	return and(g.etherType(at, typeIP6), or(equal(g.payload+6, 1, number), fragment))
}

// proto is "ip proto 6" and the like.
func (g *generator) proto(q quals, t token, number uint32) *formula {
	if q.protocol == "ether" {
		if number > 0xffff {
			return g.fail(t.at, "a type of frames must be from 0 to 65535, not %d", number)
		}
		return g.etherType(t.at, number)
	}
	if number > 255 {
		return g.fail(t.at, "a protocol must be from 0 to 255, not %d", number)
	}
	switch q.protocol {
	case "":
		return g.inEither(t.at, number)
	case "ip":
		return g.inIP(t.at, number)
	case "ip6":
		return g.inIP6(t.at, number)
	}
	return g.fail(q.at, "%q cannot stand before \"proto\"; \"ether\", \"ip\" and \"ip6\" can", q.protocol)
}

// toMany is "broadcast" and "multicast", with a protocol before it.
func (g *generator) toMany(q quals, t token) *formula {
	multicast := t.text == "multicast"
	switch {
	case (q.protocol == "" || q.protocol == "ether") && g.ppp:
		return g.fail(t.at, "there is no Ethernet header behind \"pppoes\"")
	case (q.protocol == "" || q.protocol == "ether") && multicast:
		return compare(bpf.JumpBitsSet, 0, 1, 1)
	case q.protocol == "" || q.protocol == "ether":
		return etherAddress(0, [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	case q.protocol == "ip" && multicast:
		return and(g.etherType(t.at, typeIP), compare(bpf.JumpGreaterOrEqual, g.payload+16, 1, 224))
	case q.protocol == "ip6" && multicast:
		return and(g.etherType(t.at, typeIP6), equal(g.payload+24, 1, 255))
	case q.protocol == "ip":
		return g.fail(q.at, "\"ip broadcast\" needs the mask of the network, which is not known; write \"ether broadcast\"")
	}
	return g.fail(q.at, "%q cannot stand before %q", q.protocol, t.text)
}

func etherAddress(off int, mac [6]byte) *formula {
	return and(equal(off+2, 4, binary.BigEndian.Uint32(mac[2:])), equal(off, 2, uint32(binary.BigEndian.Uint16(mac[:2]))))
}

// directed joins what is true of the source and of the destination.
func directed(d direction, src, dst *formula) *formula {
	switch d {
	case source:
		return src
	case destination:
		return dst
	case both:
		return and(src, dst)
	}
	return or(src, dst)
}

func (g *generator) etherHost(q quals, t token, mac [6]byte) *formula {
	switch {
	case q.protocol != "ether":
		return g.fail(t.at, "%q is an Ethernet address: write \"ether\" before \"host\", \"src\" or \"dst\"", t.text)
	case g.ppp:
		return g.fail(t.at, "there is no Ethernet header behind \"pppoes\"")
	}
	return directed(q.direction, etherAddress(6, mac), etherAddress(0, mac))
}

// host4 is true for an address of IPv4 in IP, ARP or RARP.
func (g *generator) host4(q quals, address, mask uint32) *formula {
	in := func(frameType uint32, src, dst int) *formula {
		f := g.etherType(q.at, frameType)
		if mask == 0 {
			return f
		}
		return and(f, directed(q.direction, maskedEqual(g.payload+src, 4, mask, address), maskedEqual(g.payload+dst, 4, mask, address)))
	}
	switch q.protocol {
	case "ip":
		return in(typeIP, 12, 16)
	case "arp":
		return in(typeARP, 14, 24)
	case "rarp":
		return in(typeRARP, 14, 24)
	case "":
		f := in(typeIP, 12, 16)
		if g.labels == 0 {
			f = or(f, in(typeARP, 14, 24), in(typeRARP, 14, 24))
		}
		return f
	}
	return g.fail(q.at, "%q cannot stand before an address of IPv4; \"ip\", \"arp\" and \"rarp\" can", q.protocol)
}

// host6 is true for an address of IPv6.
func (g *generator) host6(q quals, prefix netip.Prefix) *formula {
	if q.protocol != "" && q.protocol != "ip6" {
		return g.fail(q.at, "%q cannot stand before an address of IPv6; \"ip6\" can", q.protocol)
	}
	f := g.etherType(q.at, typeIP6)
	if prefix.Bits() == 0 {
		return f
	}
	address := prefix.Addr().As16()
	words := func(off int) *formula {
		var all *formula
		for i := 0; i*32 < prefix.Bits(); i++ {
			mask := uint32(^uint64(0) << (32 - min(32, prefix.Bits()-i*32)))
			word := maskedEqual(g.payload+off+4*i, 4, mask, binary.BigEndian.Uint32(address[4*i:]))
			if all == nil {
				all = word
			} else {
				all = and(all, word)
			}
		}
		return all
	}
	return and(f, directed(q.direction, words(8), words(24)))
}
