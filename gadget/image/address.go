// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf/btf"
)

// addressStruct is the C struct whose params are IP addresses.
const addressStruct = "gadget_l3endpoint_t"

// addressLayout has the offsets of the parts of an IP address in a variable: 16 bytes in network order, of which an IPv4
// address uses the first four, and a byte with 4 or 6. 0 means no address.
type addressLayout struct{ bytes, version uint32 }

// addressOf returns the layout of a variable's type, or nil if that is not an IP address.
func addressOf(t btf.Type) *addressLayout {
	s, ok := btf.UnderlyingType(t).(*btf.Struct)
	if !ok || s.Name != addressStruct {
		return nil
	}
	bytes, version := member(s, "addr_raw", 16), member(s, "version", 1)
	if bytes == nil || version == nil {
		return nil
	}
	return &addressLayout{bytes.Offset.Bytes(), version.Offset.Bytes()}
}

// member returns the member of a struct with that name and size, or nil.
func member(s *btf.Struct, name string, size int) *btf.Member {
	i := slices.IndexFunc(s.Members, func(m btf.Member) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	if n, err := btf.Sizeof(s.Members[i].Type); err != nil || n != size {
		return nil
	}
	return &s.Members[i]
}

func (l *addressLayout) parse(buf []byte, text string) error {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return fmt.Errorf("%q is not an IP address such as 192.0.2.1 or 2001:db8::1", text)
	}
	addr = addr.Unmap()
	buf[l.version] = 6
	if addr.Is4() {
		buf[l.version] = 4
	}
	copy(buf[l.bytes:], addr.AsSlice())
	return nil
}

// format is the inverse of parse; no address is the empty text.
func (l *addressLayout) format(v Value) string {
	switch bytes := v[l.bytes : l.bytes+16]; v[l.version] {
	case 4:
		return netip.AddrFrom4([4]byte(bytes)).String()
	case 6:
		return netip.AddrFrom16([16]byte(bytes)).String()
	}
	return ""
}
