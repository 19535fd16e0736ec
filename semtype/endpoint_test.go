// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
)

// endpointFields are the fields of an endpoint at index i of a schema: a union of the two kinds of
// address, the given members of 2 bytes each, and the version.
func endpointFields(name, ctype string, i int, shorts ...string) []event.Field {
	union := event.Field{Name: name + ".addr_raw", Kind: event.Struct, Types: []string{"gadget_ip_addr_t"}, Size: 16, Parent: i}
	fields := []event.Field{
		structure(name, ctype, event.NoParent),
		union,
		{Name: name + ".addr_raw.v6", Kind: event.Uint, Count: 16, Size: 16, Parent: i + 1},
	}
	for _, short := range shorts {
		fields = append(fields, event.Field{Name: name + "." + short, Kind: event.Uint, Size: 2, Parent: i})
	}
	return append(fields, event.Field{Name: name + ".version", Kind: event.Uint, Size: 1, Parent: i})
}

// l4Record is a record with one endpoint.
func l4Record(addr []byte, port, proto uint16, version byte) []byte {
	rec := append(make([]byte, 0, 21), addr...)
	rec = append(rec, make([]byte, 16-len(addr))...)
	rec = append(rec, byte(port), byte(port>>8), byte(proto), byte(proto>>8))
	return append(rec, version)
}

func v4Record() []byte { return l4Record([]byte{172, 17, 0, 2}, 46076, unix.IPPROTO_TCP, 4) }

func v6Record() []byte {
	a := netip.MustParseAddr("2001:db8::1:0:2").As16()
	return l4Record(a[:], 443, unix.IPPROTO_UDP, 6)
}

func TestL4Endpoint(t *testing.T) {
	t.Parallel()
	loopback := netip.IPv6Loopback().As16()
	mapped := netip.MustParseAddr("::ffff:1.2.3.4").As16()
	for _, tt := range []struct {
		name              string
		rec               []byte
		flat, addr, proto string
	}{
		{"IPv4", v4Record(), "172.17.0.2:46076", "172.17.0.2", "TCP"},
		{"IPv6", v6Record(), "[2001:db8::1:0:2]:443", "2001:db8::1:0:2", "UDP"},
		{"loopback", l4Record(loopback[:], 80, 58, 6), "[::1]:80", "::1", "ICMPV6"},
		{"mapped", l4Record(mapped[:], 80, 132, 6), "[::ffff:1.2.3.4]:80", "::ffff:1.2.3.4", "SCTP"},
		{"any address", l4Record(nil, 0, 6, 4), "0.0.0.0:0", "0.0.0.0", "TCP"},
		{"nothing filled in", l4Record(nil, 0, 0, 0), "", "", ""},
		{"another version", l4Record(loopback[:], 80, 200, 5), "", "", "200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := layout(endpointFields("src", "gadget_l4endpoint_t", 0, "port", "proto_raw")...)
			apply(t, s, testEnv(), annotations{})
			for name, want := range map[string]string{"src": tt.flat, "src.addr": tt.addr, "src.proto": tt.proto} {
				if got := text(t, s, name, tt.rec); got != want {
					t.Errorf("%s reads %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestL4EndpointFields(t *testing.T) {
	t.Parallel()
	s := layout(endpointFields("src", "gadget_l4endpoint_t", 0, "port", "proto")...)
	apply(t, s, testEnv(), annotations{fields: map[string]func(*event.Annotations){
		"src.port": func(a *event.Annotations) { a.Columns.Hidden = false },
	}})
	var json, shown []string
	for i := range s.Fields {
		f := &s.Fields[i]
		if !f.Ann.SkipJSON {
			json = append(json, f.Name)
		}
		if !f.Ann.Columns.Hidden && f.Kind != event.Struct {
			shown = append(shown, f.Name)
		}
	}
	if want := []string{"src", "src.port", "src.proto", "src.version", "src.addr"}; !slices.Equal(json, want) {
		t.Errorf("in json: %q, want %q", json, want)
	}
	// The author wants the port.
	if want := []string{"src.port"}; !slices.Equal(shown, want) {
		t.Errorf("in columns: %q, want %q", shown, want)
	}
	if f := field(t, s, "src.proto"); f.Added || f.Text != nil {
		t.Errorf("proto is the number already: %+v", f)
	}
	if f := field(t, s, "src.addr"); f.Parent != 0 || f.Kind != event.String {
		t.Errorf("addr: %+v", f)
	}
}

func TestEndpointWithOtherLayout(t *testing.T) {
	t.Parallel()
	s := layout(
		structure("conn", "conn", event.NoParent),
		structure("conn.dst", "gadget_l4endpoint_t", 0),
		event.Field{Name: "conn.dst.version", Kind: event.Uint, Size: 4, Parent: 1},
		event.Field{Name: "conn.dst.port", Kind: event.Uint, Size: 4, Parent: 1},
		event.Field{Name: "conn.dst.addr_raw", Kind: event.Bytes, Size: 20, Parent: 1},
		event.Field{Name: "conn.dst.addr", Kind: event.Uint, Size: 4, Parent: 1},
	)
	apply(t, s, testEnv(), annotations{})
	rec := append(le(4, 4), le(8080, 4)...)
	rec = append(rec, 10, 0, 0, 1)
	rec = append(rec, make([]byte, 20)...)
	if got := text(t, s, "conn.dst", rec); got != "10.0.0.1:8080" {
		t.Errorf("got %q", got)
	}
	if f := field(t, s, "conn.dst.addr"); f.Added {
		t.Error("the author's addr is not the record's any more")
	}
	if f := field(t, s, "conn.dst.addr_raw"); f.Ann.SkipJSON {
		t.Error("addr_raw is skipped although nothing stands for it")
	}
}

func TestL3Endpoint(t *testing.T) {
	t.Parallel()
	s := layout(endpointFields("src", "gadget_l3endpoint_t", 0)...)
	apply(t, s, testEnv(), annotations{})
	for _, tt := range []struct {
		addr    string
		version byte
	}{{"192.168.1.254", 4}, {"fe80::1", 6}, {"::", 6}} {
		rec := make([]byte, 17)
		copy(rec, netip.MustParseAddr(tt.addr).AsSlice())
		rec[16] = tt.version
		for _, name := range []string{"src", "src.addr"} {
			if got := text(t, s, name, rec); got != tt.addr {
				t.Errorf("%s reads %q, want %q", name, got, tt.addr)
			}
		}
	}
}

func TestEndpointLacksMembers(t *testing.T) {
	t.Parallel()
	for _, lacking := range []string{"src.addr_raw", "src.port", "src.version"} {
		s := layout(endpointFields("src", "gadget_l4endpoint_t", 0, "port", "proto")...)
		i, _ := s.Lookup(lacking)
		s.Fields[i].Name = "src.other"
		n := len(s.Fields)
		apply(t, s, testEnv(), annotations{})
		if len(s.Fields) != n || s.Fields[0].Text != nil {
			t.Errorf("without %s: something was made of the struct", lacking)
		}
	}
}

func TestProtocols(t *testing.T) {
	t.Parallel()
	for number, want := range map[uint64]string{
		unix.IPPROTO_TCP: "TCP", unix.IPPROTO_UDP: "UDP", unix.IPPROTO_ICMP: "ICMP", unix.IPPROTO_GRE: "GRE",
		unix.IPPROTO_MPTCP: "MPTCP", 253: strconv.Itoa(253), 0xffff: "65535", 0: "",
	} {
		if got := string(appendProtocol(nil, number)); got != want {
			t.Errorf("%d reads %q, want %q", number, got, want)
		}
	}
}
