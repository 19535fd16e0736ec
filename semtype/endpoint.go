// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"net/netip"

	"github.com/gizmo-ebpf/gizmo/event"
)

func l3EndpointType() Type {
	return Type{
		CName: "gadget_l3endpoint_t",
		On:    "struct",
		Doc:   "An IP address. `version` is 4 or 6; with any other there is no address.",
		Adds: "`addr`, the address as text. `addr_raw` is left out of json. Columns show the struct " +
			"as one column with the address; its members are hidden.",
		Template: "l4endpoint", // for the widths: an address is as wide as an endpoint without its port
		Extend:   extendL3,
	}
}

func l4EndpointType() Type {
	return Type{
		CName: "gadget_l4endpoint_t",
		On:    "struct",
		Doc:   "An IP address and a port. `version` is 4 or 6; with any other there is no address.",
		Adds: "`addr`, the address as text, and `proto`, the protocol's name, if the number is called " +
			"`proto_raw`. `addr_raw` is left out of json. Columns show the struct as one column, " +
			"`1.2.3.4:80` or `[::1]:80`; its members are hidden.",
		Template: "l4endpoint",
		Extend:   extendL4,
	}
}

func extendL3(s *event.Schema, i int, env *Env) {
	e, ok := newEndpoint(s, i)
	if !ok {
		env.debug(&s.Fields[i], "it lacks addr_raw or version")
		return
	}
	s.Fields[i].Text = e.appendAddr
	e.extend(s, i, env)
}

func extendL4(s *event.Schema, i int, env *Env) {
	e, ok := newEndpoint(s, i)
	port, found := number(s, i, "port")
	if !ok || !found {
		env.debug(&s.Fields[i], "it lacks addr_raw, port or version")
		return
	}
	s.Fields[i].Text = func(dst []byte, b *event.Batch, row int) []byte {
		addr, ok := e.addr(b.Rows[row])
		if !ok {
			return dst
		}
		return netip.AddrPortFrom(addr, uint16(port.Uint(b.Rows[row]))).AppendTo(dst)
	}
	e.extend(s, i, env)
	extendProto(s, i, env)
}

// endpoint reads the address of an endpoint.
type endpoint struct {
	at      uint32 // of the 16 bytes of the address
	version event.Field
}

// newEndpoint finds the members of the struct at index i. It takes their places from the schema, because
// existing objects have more than one layout of the struct.
func newEndpoint(s *event.Schema, i int) (*endpoint, bool) {
	raw, ok := member(s, i, "addr_raw")
	version, found := number(s, i, "version")
	if !ok || !found || s.Fields[raw].Size < 16 {
		return nil, false
	}
	return &endpoint{at: s.Fields[raw].Off, version: version}, true
}

// number returns a copy of the integer member called base of the struct at index i.
func number(s *event.Schema, i int, base string) (event.Field, bool) {
	j, ok := member(s, i, base)
	if !ok || !isNumber(&s.Fields[j]) {
		return event.Field{}, false
	}
	return s.Fields[j], true
}

func (e *endpoint) addr(rec []byte) (netip.Addr, bool) {
	switch e.version.Uint(rec) {
	case 4:
		return netip.AddrFrom4([4]byte(rec[e.at:])), true
	case 6:
		return netip.AddrFrom16([16]byte(rec[e.at:])), true
	}
	return netip.Addr{}, false
}

func (e *endpoint) appendAddr(dst []byte, b *event.Batch, row int) []byte {
	if addr, ok := e.addr(b.Rows[row]); ok {
		return addr.AppendTo(dst)
	}
	return dst
}

// extend adds addr to the struct at index i and hides the other members, which the struct's own
// text contains.
func (e *endpoint) extend(s *event.Schema, i int, env *Env) {
	hideMembers(s, i)
	raw, ok := member(s, i, "addr_raw")
	if !ok {
		return
	}
	addr, ok := addText(s, raw, env, s.Fields[i].Name+".addr", e.appendAddr)
	if !ok {
		return
	}
	s.Fields[addr].Ann.Columns.Hidden = true
	s.Fields[addr].Reads = e.reads()
	s.Fields[raw].Ann.SkipJSON = true
	eachWithin(s, raw, func(f *event.Field) { f.Ann.SkipJSON = true })
}

// reads returns the bytes that the text of an address depends on: those of the address and of the version, and the
// bytes between them.
func (e *endpoint) reads() event.Span {
	from := min(e.at, e.version.Off)
	return event.Span{Off: from, Size: max(e.at+16, e.version.Off+e.version.Size) - from}
}

// extendProto adds the protocol's name if the number is called proto_raw.
func extendProto(s *event.Schema, i int, env *Env) {
	raw, ok := member(s, i, "proto_raw")
	if !ok || !isNumber(&s.Fields[raw]) {
		return
	}
	f := s.Fields[raw]
	text := func(dst []byte, b *event.Batch, row int) []byte {
		return appendProtocol(dst, f.Uint(b.Rows[row]))
	}
	if j, ok := addText(s, raw, env, s.Fields[i].Name+".proto", text); ok {
		s.Fields[j].Ann.Columns.Hidden = true
	}
}

// appendProtocol writes nothing for 0, which means that the gadget left the protocol open.
func appendProtocol(dst []byte, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return appendName(dst, protocolNames[:], n, "")
}
