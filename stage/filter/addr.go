// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"bytes"
	"fmt"
	"net/netip"
	"unsafe"
)

// parseAddr parses an IP address with or without a port, in the form of an endpoint's text. It ignores a
// zone, and turns an IPv4-mapped IPv6 address into the IPv4 address.
func parseAddr(p []byte) (netip.Addr, bool) {
	p = cutZone(cutPort(p))
	if len(p) == 0 {
		return netip.Addr{}, false
	}
	// A string that shares p's bytes costs no copy. netip keeps it only in its errors.
	addr, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(p), len(p)))
	return addr.Unmap(), err == nil
}

// cutPort returns the address of 1.2.3.4:80 or [::1]:80.
func cutPort(p []byte) []byte {
	if len(p) > 0 && p[0] == '[' {
		if i := bytes.IndexByte(p, ']'); i > 0 {
			return p[1:i]
		}
	}
	if i := bytes.IndexByte(p, ':'); i >= 0 && bytes.IndexByte(p[i+1:], ':') < 0 {
		return p[:i]
	}
	return p
}

func cutZone(p []byte) []byte {
	if i := bytes.IndexByte(p, '%'); i >= 0 {
		return p[:i]
	}
	return p
}

// parseNetwork parses a network in CIDR notation.
func parseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is not a network; write one as 10.0.0.0/8 or fd00::/8", shorten(s))
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
