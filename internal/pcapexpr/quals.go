// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

// quals are the qualifiers before an address, a port or a protocol.
type quals struct {
	set       bool
	protocol  string // "tcp"; empty if there is none
	at        int    // of the first qualifier
	direction direction
	kind      string // host, net, port, portrange, proto; empty if none was given, which means host
}

type direction uint8

const (
	either direction = iota // source or destination
	source
	destination
	both
)

// qualified reads qualifiers and what they belong to: "tcp dst port 80", "src 10.0.0.1", "ip proto 6", "ip".
func (p *parser) qualified() *formula {
	q := quals{set: true, at: p.token.at}
	first := p.token
	if isProtocol(first.text) {
		p.next()
		q.protocol = canonical(first.text)
		if t := p.token; t.isWord("broadcast") || t.isWord("multicast") {
			p.next()
			p.quals = quals{}
			return p.gen.toMany(q, t)
		}
	}
	directed := isDirection(p.token.text) && p.token.kind == wordToken
	if directed {
		q.direction = p.direction()
	}
	typed := p.token.kind == wordToken && isType(p.token.text)
	if t := p.token; typed {
		p.next()
		q.kind = t.text
		if directed && q.kind == "proto" {
			return p.fail(t.at, "a protocol has no direction")
		}
	}
	if !directed && !typed {
		p.quals = quals{}
		if follows := p.token; q.protocol != "" && follows.kind == wordToken && !isKnown(follows.text) {
			return p.unknown(follows)
		}
		return p.gen.protocol(first.at, q.protocol)
	}
	f := p.ids(q)
	p.quals = q
	return f
}

// direction reads "src", "dst", "src or dst", "src and dst", and the last two the other way round.
func (p *parser) direction() direction {
	first := p.next()
	joined, after := p.token, scan(p.text, p.token.end)
	if after.kind != wordToken || !isDirection(after.text) || after.text == first.text {
		if first.text == "src" {
			return source
		}
		return destination
	}
	switch {
	case joined.isWord("or"), joined.is("||"):
		p.next()
		p.next()
		return either
	case joined.isWord("and"), joined.is("&&"):
		p.next()
		p.next()
		return both
	}
	p.unexpected(joined, "\"and\" or \"or\"")
	return either
}

// ids reads one address, port or protocol, or several in parentheses.
func (p *parser) ids(q quals) (f *formula) {
	odd := false
	for p.accept("!") || p.acceptWord("not") {
		odd = !odd
	}
	at := p.token.at
	if p.accept("(") {
		p.nested(at, func() { f = p.idList(q) })
		p.expect(")")
	} else {
		f = p.id(q)
	}
	if odd && f != nil {
		f = not(f)
	}
	return f
}

func (p *parser) idList(q quals) *formula {
	f := p.ids(q)
	for {
		switch {
		case p.accept("&&"), p.acceptWord("and"):
			f = and(f, p.ids(q))
		case p.accept("||"), p.acceptWord("or"):
			f = or(f, p.ids(q))
		default:
			return f
		}
	}
}

// id reads an address, a port or a protocol.
func (p *parser) id(q quals) *formula {
	t := p.next()
	p.count(t.at)
	if t.kind == endToken || t.kind == symbolToken || t.kind == badToken || t.kind == wordToken && isKnown(t.text) && q.kind != "proto" && !isService(t.text) {
		return p.unexpected(t, wanted(q.kind))
	}
	switch q.kind {
	case "port", "portrange":
		return p.port(q, t)
	case "proto":
		return p.proto(q, t)
	case "net":
		return p.net(q, t)
	}
	return p.host(q, t)
}

// wanted says what a qualifier belongs to.
func wanted(kind string) string {
	switch kind {
	case "port":
		return "a port"
	case "portrange":
		return "two ports with a - between them"
	case "proto":
		return "a protocol"
	case "net":
		return "the address of a network"
	}
	return "an address"
}

// host reads the address of a host.
func (p *parser) host(q quals, t token) *formula {
	switch {
	case t.kind == macToken:
		mac, _ := parseMAC(t.text)
		return p.gen.etherHost(q, t, mac)
	case q.protocol == "ether":
		return p.fail(t.at, "%q is no Ethernet address", t.text)
	case t.kind == ip6Token:
		return p.net(q, t)
	}
	address, bits, ok := parseAddress(t)
	if !ok {
		return p.fail(t.at, "%s", noAddress(t))
	}
	return p.gen.host4(q, address, uint32(^uint64(0)<<(32-bits)))
}

// proto reads a protocol by its number or name.
func (p *parser) proto(q quals, t token) *formula {
	n, ok := parseNumber(t.text)
	switch {
	case t.kind == numberToken && ok:
	case t.kind != wordToken && t.kind != escapedToken:
		return p.unexpected(t, wanted(q.kind))
	default:
		if n, ok = protocolNumber(q.protocol == "ether", t.text); !ok {
			return p.fail(t.at, "unknown protocol %q%s", t.text, hintProtocol(q.protocol == "ether", t.text))
		}
	}
	return p.gen.proto(q, t, n)
}
