// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package packet describes a packet of a network in a line, from as many of its bytes as there are: who sends what to whom.
package packet

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// Packet is what there is of a packet.
type Packet struct {
	// Hardware is the hardware type of the interface (ARPHRD_). It says what the packet begins with.
	Hardware uint16
	// Data are its first bytes.
	Data []byte
	// Length is how many it had.
	Length int
}

// Append appends the description of a packet. It is printable ASCII, without quotes and backslashes, whatever the packet holds. It is empty
// if there is nothing to describe.
func Append(dst []byte, p Packet) []byte {
	if len(p.Data) == 0 {
		return dst
	}
	switch p.Hardware {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return appendEthernet(dst, p.Data, p.Length)
	case unix.ARPHRD_NONE, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT, unix.ARPHRD_IPGRE, unix.ARPHRD_IP6GRE, unix.ARPHRD_RAWIP, unix.ARPHRD_PPP:
		return appendIP(dst, p.Data, p.Length)
	}
	return appendNumber(append(dst, "link type "...), uint64(p.Hardware))
}

// The values of an Ethernet header's type.
const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeIPv6 = 0x86dd
	typeLLDP = 0x88cc
	typeVLAN = 0x8100
	typeQinQ = 0x88a8
)

const sizeEthernet = 14

func appendEthernet(dst, data []byte, length int) []byte {
	if len(data) < sizeEthernet {
		return appendCut(append(dst, "Ethernet"...))
	}
	header := data
	kind := binary.BigEndian.Uint16(data[12:])
	data, length = data[sizeEthernet:], length-sizeEthernet
	for kind == typeVLAN || kind == typeQinQ {
		if len(data) < 4 {
			return appendCut(append(dst, "VLAN"...))
		}
		dst = appendNumber(append(dst, "VLAN "...), uint64(binary.BigEndian.Uint16(data)&0x0fff))
		dst = append(dst, ' ')
		kind = binary.BigEndian.Uint16(data[2:])
		data, length = data[4:], length-4
	}
	switch kind {
	case typeIPv4, typeIPv6:
		return appendIP(dst, data, length)
	case typeARP:
		return appendARP(dst, data)
	}
	dst = appendMAC(dst, header[6:12])
	dst = appendMAC(append(dst, " > "...), header[:6])
	if kind == typeLLDP {
		return append(dst, " LLDP"...)
	}
	dst = append(dst, " type 0x"...)
	return appendHex(appendHex(dst, byte(kind>>8)), byte(kind))
}

func appendARP(dst, data []byte) []byte {
	const size, request, reply = 28, 1, 2
	dst = append(dst, "ARP "...)
	if len(data) < size {
		return appendCut(dst[:len(dst)-1])
	}
	sender, target := netip.AddrFrom4([4]byte(data[14:])), netip.AddrFrom4([4]byte(data[24:]))
	switch op := binary.BigEndian.Uint16(data[6:]); op {
	case request:
		dst = target.AppendTo(append(dst, "who has "...))
		return sender.AppendTo(append(dst, " tell "...))
	case reply:
		dst = sender.AppendTo(dst)
		return appendMAC(append(dst, " is at "...), data[8:14])
	default:
		return appendNumber(append(dst, "operation "...), uint64(op))
	}
}

// ip is what a header of IP says.
type ip struct {
	from, to netip.Addr
	protocol byte
	fragment int  // where the fragment begins, in bytes
	more     bool // fragments come
	data     []byte
	length   int // of what follows the header
}

func appendIP(dst, data []byte, length int) []byte {
	var h ip
	ok := false
	switch data = data[:min(len(data), max(length, 0))]; {
	case len(data) == 0:
		return appendCut(append(dst, "IP"...))
	case data[0]>>4 == 4:
		ok = h.parse4(data, length)
	case data[0]>>4 == 6:
		ok = h.parse6(data, length)
	default:
		return appendNumber(append(dst, "IP version "...), uint64(data[0]>>4))
	}
	if !ok {
		return appendCut(append(dst, "IP"...))
	}
	return h.append(dst)
}

func (h *ip) parse4(data []byte, length int) bool {
	const size = 20
	if len(data) < size {
		return false
	}
	header := int(data[0]&15) * 4
	h.from, h.to = netip.AddrFrom4([4]byte(data[12:])), netip.AddrFrom4([4]byte(data[16:]))
	h.protocol = data[9]
	offset := binary.BigEndian.Uint16(data[6:])
	h.fragment, h.more = int(offset&0x1fff)*8, offset&0x2000 != 0
	if total := int(binary.BigEndian.Uint16(data[2:])); total > 0 { // the kernel's own packets of over 64 KiB have 0
		length = total
	}
	h.data, h.length = data[min(header, len(data)):], max(length-header, 0)
	return header >= size
}

// The headers that may come between that of IPv6 and the protocol's.
const (
	nextHopByHop = 0
	nextRouting  = 43
	nextFragment = 44
	nextOptions  = 60
)

func (h *ip) parse6(data []byte, length int) bool {
	const size = 40
	if len(data) < size {
		return false
	}
	h.from, h.to = netip.AddrFrom16([16]byte(data[8:])), netip.AddrFrom16([16]byte(data[24:]))
	h.protocol = data[6]
	h.length = length - size
	if payload := int(binary.BigEndian.Uint16(data[4:])); payload > 0 {
		h.length = payload
	}
	h.data = data[size:]
	for {
		n := 8
		switch {
		case h.protocol != nextHopByHop && h.protocol != nextRouting && h.protocol != nextFragment && h.protocol != nextOptions || h.fragment > 0:
			h.length = max(h.length, 0)
			return true
		case len(h.data) < n:
			return false
		case h.protocol == nextFragment:
			offset := binary.BigEndian.Uint16(h.data[2:])
			h.fragment, h.more = int(offset&^7), offset&1 != 0
		default:
			n = (int(h.data[1]) + 1) * 8
		}
		h.protocol = h.data[0]
		h.data, h.length = h.data[min(n, len(h.data)):], h.length-n
	}
}

// append appends the addresses and what the protocol's header says.
func (h *ip) append(dst []byte) []byte {
	ports := h.hasPorts()
	dst = appendEndpoint(dst, h.from, h.data, ports)
	dst = append(dst, " > "...)
	at := h.data
	if ports {
		at = at[2:]
	}
	dst = append(appendEndpoint(dst, h.to, at, ports), ' ')
	if h.fragment > 0 || h.protocol != unix.IPPROTO_TCP && h.more {
		dst = appendNumber(append(appendProtocol(dst, h.protocol), " fragment at "...), uint64(h.fragment))
		return appendLength(dst, h.length)
	}
	switch h.protocol {
	case unix.IPPROTO_TCP:
		return h.appendTCP(dst)
	case unix.IPPROTO_UDP:
		return appendLength(append(dst, "UDP"...), h.length-8)
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		return h.appendICMP(dst)
	}
	return appendLength(appendProtocol(dst, h.protocol), h.length)
}

// hasPorts reports whether the protocol's header begins with two ports, which are there.
func (h *ip) hasPorts() bool {
	switch h.protocol {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_UDPLITE, unix.IPPROTO_SCTP, unix.IPPROTO_DCCP:
		return h.fragment == 0 && len(h.data) >= 4
	}
	return false
}

func appendEndpoint(dst []byte, addr netip.Addr, at []byte, hasPort bool) []byte {
	if !hasPort {
		return addr.AppendTo(dst)
	}
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(at)).AppendTo(dst)
}

// appendTCP appends the flags as tcpdump writes them, and the number of bytes that the packet carries.
func (h *ip) appendTCP(dst []byte) []byte {
	const size = 20
	if len(h.data) < size {
		return appendCut(append(dst, "TCP"...))
	}
	dst = append(dst, "TCP ["...)
	before := len(dst)
	for _, flag := range [...]struct{ bit, letter byte }{{2, 'S'}, {1, 'F'}, {4, 'R'}, {8, 'P'}, {32, 'U'}, {64, 'E'}, {128, 'W'}, {16, '.'}} {
		if h.data[13]&flag.bit != 0 {
			dst = append(dst, flag.letter)
		}
	}
	if len(dst) == before {
		dst = append(dst, "none"...)
	}
	return appendLength(append(dst, ']'), h.length-int(h.data[12]>>4)*4)
}

// The types of ICMP and ICMPv6 that have names here.
func icmpName(version, kind byte) string {
	switch [2]byte{version, kind} {
	case [2]byte{4, 0}, [2]byte{6, 129}:
		return "echo reply"
	case [2]byte{4, 8}, [2]byte{6, 128}:
		return "echo request"
	case [2]byte{4, 3}, [2]byte{6, 1}:
		return "unreachable"
	case [2]byte{4, 11}, [2]byte{6, 3}:
		return "time exceeded"
	case [2]byte{4, 5}, [2]byte{6, 137}:
		return "redirect"
	case [2]byte{6, 2}:
		return "packet too big"
	case [2]byte{6, 133}:
		return "router solicitation"
	case [2]byte{6, 134}:
		return "router advertisement"
	case [2]byte{6, 135}:
		return "neighbour solicitation"
	case [2]byte{6, 136}:
		return "neighbour advertisement"
	}
	return ""
}

func (h *ip) appendICMP(dst []byte) []byte {
	version := byte(4)
	dst = append(dst, "ICMP"...)
	if h.protocol == unix.IPPROTO_ICMPV6 {
		dst, version = append(dst, "v6"...), 6
	}
	if len(h.data) < 2 {
		return appendCut(dst)
	}
	kind, code := h.data[0], h.data[1]
	if name := icmpName(version, kind); name != "" {
		dst = append(append(dst, ' '), name...)
	} else {
		dst = appendNumber(append(dst, " type "...), uint64(kind))
	}
	if code != 0 {
		dst = appendNumber(append(dst, " code "...), uint64(code))
	}
	return dst
}

func appendProtocol(dst []byte, protocol byte) []byte {
	switch protocol {
	case unix.IPPROTO_TCP:
		return append(dst, "TCP"...)
	case unix.IPPROTO_UDP:
		return append(dst, "UDP"...)
	case unix.IPPROTO_ICMP:
		return append(dst, "ICMP"...)
	case unix.IPPROTO_ICMPV6:
		return append(dst, "ICMPv6"...)
	case unix.IPPROTO_IGMP:
		return append(dst, "IGMP"...)
	case unix.IPPROTO_IPIP:
		return append(dst, "IPv4 inside"...)
	case unix.IPPROTO_IPV6:
		return append(dst, "IPv6 inside"...)
	case unix.IPPROTO_GRE:
		return append(dst, "GRE"...)
	case unix.IPPROTO_ESP:
		return append(dst, "ESP"...)
	case unix.IPPROTO_SCTP:
		return append(dst, "SCTP"...)
	}
	return appendNumber(append(dst, "protocol "...), uint64(protocol))
}

// appendLength appends the number of bytes that a packet carries.
func appendLength(dst []byte, n int) []byte {
	return appendNumber(append(dst, " len "...), uint64(max(n, 0)))
}

// appendCut says that the rest of a header is missing.
func appendCut(dst []byte) []byte { return append(dst, " (cut)"...) }

func appendNumber(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }

func appendMAC(dst, address []byte) []byte {
	for i, c := range address {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = appendHex(dst, c)
	}
	return dst
}

func appendHex(dst []byte, c byte) []byte {
	const digits = "0123456789abcdef"
	return append(dst, digits[c>>4], digits[c&15])
}
