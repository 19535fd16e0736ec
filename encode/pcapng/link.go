// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapng

import "golang.org/x/sys/unix"

// The kinds of what a packet begins with, as pcap-ng numbers them (LINKTYPE_).
const (
	linkEthernet  = 1
	linkRaw       = 101 // the header of IPv4 or IPv6
	linkWiFi      = 105
	linkRadiotap  = 127
	linkCAN       = 227
	linkNetlink   = 253
	linkVsock     = 271
	arphrdVsockmn = 826 // ARPHRD_VSOCKMON
)

// linkOf returns the kind of link for an interface's hardware type (ARPHRD_). Packets of devices without a header of their own, such
// as tun and WireGuard, begin with that of IP.
func linkOf(hardware uint64) uint16 {
	switch hardware {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return linkEthernet
	case unix.ARPHRD_IEEE80211:
		return linkWiFi
	case unix.ARPHRD_IEEE80211_RADIOTAP:
		return linkRadiotap
	case unix.ARPHRD_CAN:
		return linkCAN
	case unix.ARPHRD_NETLINK:
		return linkNetlink
	case arphrdVsockmn:
		return linkVsock
	}
	return linkRaw
}
