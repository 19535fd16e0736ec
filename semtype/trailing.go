// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/dns"
)

// trailingType is the row of the trailing data, which has no type in C. Only annotations of gizmo's own give it
// a meaning, so that objects of other systems keep theirs.
func trailingType() Type {
	return Type{
		CName: "trailing data", On: "bytes",
		Doc: "The bytes of a record after its struct. Only annotations of the data source give it a meaning.",
		Adds: "With `ebpf.rest.content: dns`, for a DNS message: `qr` (`Q` or `R`), `qtype`, `name`, `rcode` (of answers) and `addresses` " +
			"(those of the answers, joined by commas). `qtype` and `name` are those of the first question, or of the first record if " +
			"there is no question. What cannot be read, because the message is cut or wrong, is empty. " +
			"With `ebpf.rest.texts`, a field for each name. The trailing data itself is then left out of columns and json.",
		Extend: extendTrailing,
	}
}

func extendTrailing(s *event.Schema, i int, env *Env) {
	f := s.Fields[i]
	if f.Content == "dns" {
		for _, m := range dnsFields() {
			addOfRest(s, i, env, m.name, m.plain, dnsText(f, m.append))
		}
	}
	for n, name := range f.Texts {
		addOfRest(s, i, env, name, false, textAfter(f, n))
	}
	if f.Content != "" || len(f.Texts) > 0 {
		s.Fields[i].Ann.SkipJSON, s.Fields[i].Ann.Columns.Hidden = true, true
	}
}

func addOfRest(s *event.Schema, rest int, env *Env, name string, plain bool, text event.TextFunc) {
	if i, ok := addText(s, rest, env, name, text); ok {
		s.Fields[i].Plain, s.Fields[i].OfRest = plain, true
	}
}

// textAfter returns the text of the nth text after the trailing data.
func textAfter(f event.Field, n int) event.TextFunc {
	return func(dst []byte, b *event.Batch, row int) []byte {
		rec := b.Rows[row]
		rest := rec[int(f.Off)+len(f.Trailing(rec)):]
		text := event.CString(rest)
		for range n {
			rest = rest[min(len(text)+1, len(rest)):]
			text = event.CString(rest)
		}
		return append(dst, text...)
	}
}

// dnsField is a field that is read from a DNS message.
type dnsField struct {
	name   string
	append func(dst []byte, m dns.Message) []byte
	plain  bool
}

func dnsText(f event.Field, read func([]byte, dns.Message) []byte) event.TextFunc {
	return func(dst []byte, b *event.Batch, row int) []byte {
		return read(dst, dns.Message(f.Trailing(b.Rows[row])))
	}
}

func dnsFields() []dnsField {
	return []dnsField{
		{"qr", appendQR, true},
		{"qtype", appendQType, true},
		{"name", func(dst []byte, m dns.Message) []byte { return m.AppendName(dst) }, false},
		{"rcode", appendRCode, true},
		{"addresses", func(dst []byte, m dns.Message) []byte { return m.AppendAddresses(dst) }, true},
	}
}

func appendQR(dst []byte, m dns.Message) []byte {
	if m.IsResponse() {
		return append(dst, 'R')
	}
	return append(dst, 'Q')
}

func appendQType(dst []byte, m dns.Message) []byte {
	if kind, ok := m.Type(); ok {
		return dns.AppendType(dst, kind)
	}
	return dst
}

func appendRCode(dst []byte, m dns.Message) []byte {
	if code, ok := m.RCode(); ok {
		return dns.AppendRCode(dst, code)
	}
	return dst
}
