// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// parseAddress reads an address of IPv4: 10.0.0.1, the beginning of one, or a number of 32 bits.
func parseAddress(t token) (address uint32, bits int, ok bool) {
	switch t.kind {
	case numberToken:
		address, ok = parseNumber(t.text)
		return address, 32, ok
	case dottedToken:
		address, bits, ok = parseDotted(t.text)
		return address << (32 - bits), bits, ok
	}
	return 0, 0, false
}

// noAddress says what is wrong with an address.
func noAddress(t token) string {
	if t.kind == wordToken || t.kind == escapedToken {
		return fmt.Sprintf("%q is no address, and names of hosts are not looked up: write the address itself", t.text)
	}
	return fmt.Sprintf("%q is no address", t.text)
}

// net reads the address of a network: 10.0.0.0/8, 10, 10.0.0.0 mask 255.0.0.0, 2001:db8::/32.
func (p *parser) net(q quals, t token) *formula {
	if t.kind == ip6Token {
		return p.net6(q, t)
	}
	if t.kind == macToken {
		return p.fail(t.at, "%q is the address of a host: write \"ether host\"", t.text)
	}
	address, bits, ok := parseAddress(t)
	if t.kind == numberToken { // 10 means 10.0.0.0/8
		for address != 0 && address>>24 == 0 {
			address <<= 8
			bits -= 8
		}
	}
	if !ok {
		return p.fail(t.at, "%s", noAddress(t))
	}
	mask := uint32(^uint64(0) << (32 - bits))
	switch {
	case p.accept("/"):
		mask = uint32(^uint64(0) << (32 - p.limited("the length of the network's prefix", 32)))
	case p.acceptWord("mask"):
		m := p.next()
		if mask, _, ok = parseAddress(m); !ok {
			return p.fail(m.at, "%q is no mask", m.text)
		}
	}
	if address&^mask != 0 {
		return p.fail(t.at, "the address %s has bits outside of the network; it begins with %s", t.text, dotted(address&mask))
	}
	return p.gen.host4(q, address, mask)
}

func dotted(address uint32) string {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, address))).String()
}

// net6 reads an address of IPv6, and the length of a prefix.
func (p *parser) net6(q quals, t token) *formula {
	bits := 128
	if p.accept("/") {
		bits = int(p.limited("the length of the network's prefix", 128))
	}
	address, err := netip.ParseAddr(t.text)
	if err != nil {
		return p.fail(t.at, "%s", noAddress(t))
	}
	prefix, err := address.Prefix(bits)
	if err != nil {
		return p.fail(t.at, "%s", noAddress(t))
	}
	if prefix.Addr() != address {
		return p.fail(t.at, "the address %s has bits outside of the network; it begins with %s", t.text, prefix.Addr())
	}
	return p.gen.host6(q, prefix)
}
