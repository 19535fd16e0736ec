// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

import (
	"strings"

	"golang.org/x/net/bpf"
)

// port reads a port or a range of ports, by number or name.
func (p *parser) port(q quals, t token) *formula {
	protocols, ok := map[string][]uint32{"": {protoTCP, protoUDP, protoSCTP}, "tcp": {protoTCP}, "udp": {protoUDP}, "sctp": {protoSCTP}}[q.protocol]
	if !ok {
		return p.fail(q.at, "%q cannot stand before %q; \"tcp\", \"udp\" and \"sctp\" can", q.protocol, q.kind)
	}
	var r portRange
	switch {
	case t.kind != numberToken && t.kind != wordToken && t.kind != escapedToken:
		return p.unexpected(t, wanted(q.kind))
	case t.kind == numberToken:
		n, ok := parseNumber(t.text)
		if !ok || n > 65535 {
			return p.fail(t.at, "a port must be from 0 to 65535, not %s", t.text)
		}
		r = portRange{n, n, protocols}
	default:
		if r, ok = findPorts(t.text, q.kind == "portrange"); !ok {
			return p.fail(t.at, "%s", noPort(t.text, q.kind))
		}
		if r.protocols = common(protocols, r.protocols); len(r.protocols) == 0 {
			return p.fail(t.at, "the service %q does not use %s", t.text, q.protocol)
		}
	}
	return p.gen.ports(q, r)
}

// portRange is a range of ports, of some protocols.
type portRange struct {
	from, to  uint32
	protocols []uint32
}

// findPorts reads a name, or with ranged two numbers or names with a - between them: there may be more of these in the names.
func findPorts(text string, ranged bool) (portRange, bool) {
	if r, ok := onePort(text); ok {
		return r, true
	}
	for i := range text {
		if !ranged || text[i] != '-' {
			continue
		}
		from, ok := onePort(text[:i])
		to, ok2 := onePort(text[i+1:])
		if !ok || !ok2 {
			continue
		}
		protocols := from.protocols
		if len(common(protocols, to.protocols)) != len(protocols) || len(protocols) != len(to.protocols) {
			protocols = []uint32{protoTCP, protoUDP, protoSCTP}
		}
		return portRange{min(from.from, to.from), max(from.from, to.from), protocols}, true
	}
	return portRange{}, false
}

func onePort(text string) (portRange, bool) {
	if kindOfWord(text) == numberToken {
		n, ok := parseNumber(text)
		return portRange{n, n, []uint32{protoTCP, protoUDP, protoSCTP}}, ok && n <= 65535
	}
	s, ok := findService(text)
	if !ok {
		return portRange{}, false
	}
	return portRange{s.port, s.port, s.protocols()}, true
}

func noPort(text, kind string) string {
	if kind == "portrange" {
		return quoted(text) + " is no range of ports, such as 80-90"
	}
	return "unknown service " + quoted(text) + hintService(text)
}

func common(a, b []uint32) (both []uint32) {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				both = append(both, x)
			}
		}
	}
	return both
}

// ports is true for a source or destination port, in IPv6 and IP. Of IP the header may have options, and only the first
// fragment has ports; of IPv6 the ports must follow the fixed header.
func (g *generator) ports(q quals, r portRange) *formula {
	in6 := func(off int) *formula { return r.holds(load(g.payload+40+off, 2)) }
	in4 := func(off int) *formula { return r.holds(g.behindIP(uint32(off), 2)) }
	six := and(g.etherType(q.at, typeIP6), r.protocol(g.payload+6), directed(q.direction, in6(0), in6(2)))
	four := and(g.etherType(q.at, typeIP), r.protocol(g.payload+9), g.firstFragment(), directed(q.direction, in4(0), in4(2)))
	return or(six, four)
}

// protocol is true if the byte at off is one of the protocols.
func (r *portRange) protocol(off int) *formula {
	f := equal(off, 1, r.protocols[0])
	for _, p := range r.protocols[1:] {
		f = or(f, equal(off, 1, p))
	}
	return f
}

// holds is true if the value that the code loads is in the range.
func (r *portRange) holds(code []bpf.Instruction) *formula {
	if r.from == r.to {
		return leaf(test{code: code, cond: bpf.JumpEqual, with: r.from})
	}
	return and(leaf(test{code: code, cond: bpf.JumpGreaterOrEqual, with: r.from}),
		not(leaf(test{code: code, cond: bpf.JumpGreaterThan, with: r.to})))
}

// firstFragment is true unless the packet is a later fragment.
func (g *generator) firstFragment() *formula {
	return not(compare(bpf.JumpBitsSet, g.payload+6, 2, 0x1fff))
}

// behindIP reads a value behind the header of IP.
func (g *generator) behindIP(off uint32, size int) []bpf.Instruction {
	return []bpf.Instruction{bpf.LoadMemShift{Off: uint32(g.payload)}, bpf.LoadIndirect{Off: uint32(g.payload) + off, Size: size}}
}

// field reads the part of a packet that begins at an index within a protocol's header.
func (g *generator) field(name token, protocol string, index *number, size int) *number {
	n := &number{at: name.at, depth: index.depth}
	fail := func(format string, args ...any) *number {
		g.fail(name.at, format, args...)
		return n
	}
	if index.code == nil && index.value > maxOffset {
		return fail("an offset must be from 0 to %d", maxOffset)
	}
	n.checks = append(n.checks, index.checks...)
	base := g.payload
	if p, ok := ipProtocols()[protocol]; ok && p.in != "ip6" {
		n.checks = append(append([]*formula{g.etherType(name.at, typeIP)}, n.checks...), g.protocol(name.at, protocol), g.firstFragment())
		n.code = g.transport(index, size)
		return n
	}
	switch {
	case protocol == "ether" && g.ppp:
		return fail("there is no Ethernet header behind \"pppoes\"")
	case protocol == "ether":
		base = 0
	case protocol == "icmp6":
		n.checks = append(append([]*formula{g.etherType(name.at, typeIP6)}, n.checks...), equal(g.payload+6, 1, protoICMP6))
		base += 40
	case strings.HasPrefix(protocol, "i") && protocol != "ip" && protocol != "ip6":
		return fail("%q cannot stand before a [", protocol)
	default:
		n.checks = append(n.checks, g.protocol(name.at, protocol))
	}
	if index.code == nil {
		n.code = load(base+int(index.value), size)
		return n
	}
	n.code = append(append(n.code, index.code...), bpf.TAX{}, bpf.LoadIndirect{Off: uint32(base), Size: size})
	return n
}

// transport reads a value behind the header of IP, whose length is known only from the packet.
func (g *generator) transport(index *number, size int) []bpf.Instruction {
	if index.code == nil {
		return g.behindIP(index.value, size)
	}
	code := append([]bpf.Instruction(nil), index.code...)
	return append(code, bpf.LoadMemShift{Off: uint32(g.payload)}, bpf.ALUOpX{Op: bpf.ALUOpAdd}, bpf.TAX{},
		bpf.LoadIndirect{Off: uint32(g.payload), Size: size})
}

// relation compares two numbers.
func (g *generator) relation(op token, x, y *number) *formula {
	var cond bpf.JumpTest
	negated := false
	switch op.text {
	case ">":
		cond = bpf.JumpGreaterThan
	case ">=":
		cond = bpf.JumpGreaterOrEqual
	case "<":
		cond, negated = bpf.JumpGreaterOrEqual, true
	case "<=":
		cond, negated = bpf.JumpGreaterThan, true
	case "!=":
		cond, negated = bpf.JumpEqual, true
	}
	t := test{code: x.code, cond: cond, with: y.value}
	f := (*formula)(nil)
	switch {
	case x.code == nil && y.code == nil:
		f = constant(holds(cond, x.value, y.value))
	case y.code != nil:
		t.withX, t.with = true, 0
		depth := 0
		if t.code, depth = joined(x, y); depth > scratch || len(t.code) > maxCalculation {
			return g.fail(op.at, "the calculation is too big")
		}
		f = leaf(t)
	default:
		f = leaf(t)
	}
	if negated {
		f = not(f)
	}
	checks := append(append([]*formula(nil), x.checks...), y.checks...)
	if len(checks) == 0 {
		return f
	}
	return and(checks[0], append(checks[1:], f)...)
}

// holds calculates a comparison.
func holds(cond bpf.JumpTest, x, y uint32) bool {
	switch cond {
	case bpf.JumpGreaterThan:
		return x > y
	case bpf.JumpGreaterOrEqual:
		return x >= y
	case bpf.JumpBitsSet:
		return x&y != 0
	}
	return x == y
}
