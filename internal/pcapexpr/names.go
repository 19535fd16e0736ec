// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// linkProtocols are the types of frames that have names.
func linkProtocols() map[string]uint32 {
	return map[string]uint32{
		"ip": typeIP, "ip6": typeIP6, "arp": typeARP, "rarp": typeRARP,
		"atalk": typeAppleTalk, "aarp": typeAARP, "decnet": 0x6003, "sca": 0x6007, "lat": 0x6004, "mopdl": 0x6001, "moprc": 0x6002,
		"iso": sapISO, "stp": sapSTP, "ipx": sapIPX, "netbeui": sapNetBEUI,
	}
}

// isoProtocols are the protocols in frames of ISO.
func isoProtocols() map[string]uint32 {
	return map[string]uint32{"clnp": 0x81, "esis": 0x82, "isis": 0x83}
}

// ipProtocol is a protocol in IP, IPv6 or both.
type ipProtocol struct {
	number uint32
	in     string
}

func ipProtocols() map[string]ipProtocol {
	return map[string]ipProtocol{
		"tcp": {protoTCP, ""}, "udp": {protoUDP, ""}, "sctp": {protoSCTP, ""},
		"ah": {51, ""}, "esp": {50, ""}, "pim": {103, ""},
		"icmp": {protoICMP, "ip"}, "igmp": {2, "ip"}, "igrp": {9, "ip"}, "vrrp": {112, "ip"}, "carp": {112, "ip"},
		"icmp6": {protoICMP6, "ip6"},
	}
}

// canonical returns the one name of a protocol that has several.
func canonical(name string) string {
	switch name {
	case "link":
		return "ether"
	case "icmpv6":
		return "icmp6"
	case "es-is":
		return "esis"
	case "is-is":
		return "isis"
	}
	return name
}

func isProtocol(word string) bool {
	name := canonical(word)
	_, link := linkProtocols()[name]
	_, iso := isoProtocols()[name]
	_, ip := ipProtocols()[name]
	return name == "ether" || link || iso || ip
}

func isDirection(word string) bool { return word == "src" || word == "dst" }

func isType(word string) bool {
	return slices.Contains(types(), word)
}

func types() []string { return []string{"host", "net", "port", "portrange", "proto"} }

func isOther(word string) bool { return slices.Contains(others(), word) }

func others() []string {
	return []string{"broadcast", "multicast", "less", "greater", "vlan", "mpls", "pppoed", "pppoes"}
}

// isUnsupported reports whether tcpdump knows a word that has no meaning here: for other kinds of links, for look-ups and loops, for
// facts that are not in the packet.
func isUnsupported(word string) bool {
	return slices.Contains(strings.Fields("addr1 addr2 addr3 addr4 address1 address2 address3 address4 byte csnp dir direction fddi gateway "+
		"geneve hopcount ifindex ifname iih inbound l1 l2 lane lec llc lsp metac oam oamf4 on outbound ppp protochain psnp ra reason "+
		"rnr rset rulenum rulset slip snp subtype ta tr type vci vpi wlan"), word)
}

// namedNumbers are the constants of header fields.
func namedNumbers() map[string]uint32 {
	return map[string]uint32{
		"icmptype": 0, "icmpcode": 1, "icmp6type": 0, "icmp6code": 1, "tcpflags": 13,
		"tcp-fin": 1, "tcp-syn": 2, "tcp-rst": 4, "tcp-push": 8, "tcp-ack": 16, "tcp-urg": 32, "tcp-ece": 64, "tcp-cwr": 128,
		"icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5, "icmp-echo": 8, "icmp-routeradvert": 9,
		"icmp-routersolicit": 10, "icmp-timxceed": 11, "icmp-paramprob": 12, "icmp-tstamp": 13, "icmp-tstampreply": 14,
		"icmp-ireq": 15, "icmp-ireqreply": 16, "icmp-maskreq": 17, "icmp-maskreply": 18,
		"icmp6-destinationunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3, "icmp6-parameterproblem": 4,
		"icmp6-echo": 128, "icmp6-echoreply": 129, "icmp6-multicastlistenerquery": 130,
		"icmp6-multicastlistenerreportv1": 131, "icmp6-multicastlistenerdone": 132, "icmp6-routersolicit": 133,
		"icmp6-routeradvert": 134, "icmp6-neighborsolicit": 135, "icmp6-neighboradvert": 136, "icmp6-redirect": 137,
		"icmp6-routerrenum": 138, "icmp6-nodeinformationquery": 139, "icmp6-nodeinformationresponse": 140,
		"icmp6-ineighbordiscoverysolicit": 141, "icmp6-ineighbordiscoveryadvert": 142, "icmp6-multicastlistenerreportv2": 143,
		"icmp6-homeagentdiscoveryrequest": 144, "icmp6-homeagentdiscoveryreply": 145, "icmp6-mobileprefixsolicit": 146,
		"icmp6-mobileprefixadvert": 147, "icmp6-certpathsolicit": 148, "icmp6-certpathadvert": 149,
		"icmp6-multicastrouteradvert": 151, "icmp6-multicastroutersolicit": 152, "icmp6-multicastrouterterm": 153,
	}
}

// isKnown reports whether a word has a meaning in expressions.
func isKnown(word string) bool {
	return isProtocol(word) || isUnsupported(word) || slices.Contains(words(), word)
}

// words lists what may stand in expressions.
func words() []string {
	all := []string{"and", "or", "not", "src", "dst", "ether", "link", "mask", "len", "length", "icmpv6", "es-is", "is-is"}
	all = append(append(all, types()...), others()...)
	for _, names := range []map[string]uint32{linkProtocols(), isoProtocols(), namedNumbers()} {
		all = append(all, slices.Sorted(maps.Keys(names))...)
	}
	return append(all, slices.Sorted(maps.Keys(ipProtocols()))...)
}

func (p *parser) unknown(t token) *formula {
	return p.fail(t.at, "unknown word %q%s", t.text, nearest.Hint(t.text, words()))
}

func quoted(text string) string { return strconv.Quote(text) }

// protocolNumber returns the number of a protocol in Ethernet or IP.
func protocolNumber(ether bool, name string) (uint32, bool) {
	if ether {
		n, ok := linkProtocols()[canonical(name)]
		return n, ok
	}
	if p, ok := ipProtocols()[canonical(name)]; ok {
		return p.number, true
	}
	n, ok := moreProtocols()[name]
	return n, ok
}

// moreProtocols are those in IP that are no words of expressions.
func moreProtocols() map[string]uint32 {
	return map[string]uint32{
		"ipencap": 4, "ipip": 94, "egp": 8, "igp": 9, "dccp": 33, "ipv6": 41, "ipv6-route": 43, "ipv6-frag": 44, "rsvp": 46, "gre": 47,
		"ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "eigrp": 88, "ospf": 89, "ipcomp": 108, "l2tp": 115, "udplite": 136,
	}
}

func hintProtocol(ether bool, name string) string {
	if ether {
		return nearest.Hint(name, slices.Sorted(maps.Keys(linkProtocols())))
	}
	names := slices.Sorted(maps.Keys(ipProtocols()))
	return nearest.Hint(name, append(names, slices.Sorted(maps.Keys(moreProtocols()))...))
}
