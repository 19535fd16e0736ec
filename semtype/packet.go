// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/semtype/internal/packet"
)

func packetTypeType() Type {
	return Type{
		CName: "gadget_packet_type",
		On:    "__u8",
		Doc:   "The direction of a packet as `skb->pkt_type` has it (`PACKET_`).",
		Adds: "`in`, `out`, or, for packets that come in for others than this host, `broadcast`, `multicast` or `other`. " +
			"Another number has an empty text.",
		Annotations: targetAnnotation("packet_type"),
		Example:     &Example{Field: "direction", Raw: 4, Text: "out"},
		Extend:      extendPacketType,
	}
}

// extendPacketType adds the direction.
func extendPacketType(s *event.Schema, i int, env *Env) {
	n := len(s.Fields)
	shownAs(packetTypeText)(s, i, env)
	if len(s.Fields) > n {
		s.Fields[n].Plain = true
	}
}

func packetTypeText(f event.Field, _ *Env) event.TextFunc {
	names := [...]string{"in", "broadcast", "multicast", "other", "out"}
	return func(dst []byte, b *event.Batch, row int) []byte {
		if n := f.Uint(b.Rows[row]); n < uint64(len(names)) {
			return append(dst, names[n]...)
		}
		return dst
	}
}

func linkTypeType() Type {
	return Type{
		CName: "gadget_link_type",
		On:    "__u16",
		Doc: "The hardware type of a network interface (`ARPHRD_`), in a record whose trailing data are the bytes of a packet from " +
			"that interface.",
		Adds: "Who sends what to whom, from the packet's headers: `10.0.0.1:4000 > 10.0.0.2:80 TCP [P.] len 120`. The flags are those " +
			"that tcpdump shows, and `len` is the number of bytes after the headers. `(cut)` says that a header is not complete. " +
			"A field called `packet_size` says how long the whole packet is.",
		Annotations: targetAnnotation("link_type"),
		Extend:      extendLinkType,
	}
}

func extendLinkType(s *event.Schema, i int, env *Env) {
	rest := slices.IndexFunc(s.Fields, func(f event.Field) bool { return f.Rest })
	if rest < 0 {
		env.debug(&s.Fields[i], "the record has no trailing data with a name")
		return
	}
	data, n := s.Fields[rest], len(s.Fields)
	size := func(_, data []byte) int { return len(data) }
	if j, ok := s.Lookup("packet_size"); ok && isNumber(&s.Fields[j]) {
		f := s.Fields[j]
		size = func(rec, data []byte) int { return int(max(f.Uint(rec)&0xffffffff, uint64(len(data)))) }
	}
	shownAs(func(f event.Field, _ *Env) event.TextFunc {
		return func(dst []byte, b *event.Batch, row int) []byte {
			rec := b.Rows[row]
			bytes := data.Trailing(rec)
			return packet.Append(dst, packet.Packet{Hardware: uint16(f.Uint(rec)), Data: bytes, Length: size(rec, bytes)})
		}
	})(s, i, env)
	if len(s.Fields) > n {
		s.Fields[n].Plain, s.Fields[n].Reads = true, event.Span{} // it reads the trailing data, too
	}
}
