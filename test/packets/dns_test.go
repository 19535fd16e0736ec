// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package packets

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/internal/dns"
)

const (
	dnsQuery  = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + dnsName
	dnsName   = "\x07example\x03org\x00\x00\x01\x00\x01"
	dnsAnswer = "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + dnsName +
		"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x01\x02\x03\x04"
	row4 = "10.0.0.1:4000 10.0.0.2:53 10.0.0.2 HOST 4711 4660 Q 1 A example.org. 29"
	row6 = "[fd00::1]:4000 [fd00::2]:53 fd00::2 HOST 4711 4660 Q 1 A example.org. 29"
)

func loadDNS(t testing.TB, kind ebpf.ProgramType) *program {
	return load(t, "trace_dns", kind, nil, "src", "dst", "nameserver", "pkt_type", "netns_id", "id", "qr", "qtype_raw", "qtype", "name", "data_len")
}

// over puts a message into UDP.
func over(message string) string { return udpHeader(4000, 53, 8+len(message)) + message }

func in4(payload string) string { return ipv4(udp, 20+len(payload), 0, 0) + payload }

func in6(next int, payload string) string { return ipv6(next, len(payload)) + payload }

func TestDNSPackets(t *testing.T) {
	q := over(dnsQuery)
	answered := udpHeader(5353, 4000, 8+len(dnsAnswer)) + dnsAnswer
	const none = 59 // "no next header"
	each(t, func(t *testing.T, kind ebpf.ProgramType) {
		p := loadDNS(t, kind)
		for _, c := range []struct {
			what   string
			packet layers
			want   string
		}{
			{"IPv4", layers{ethernet(ip4), in4(q)}, row4},
			{"IPv6", layers{ethernet(ip6), in6(udp, q)}, row6},
			{"answer", layers{ethernet(ip4), in4(answered)}, "10.0.0.1:5353 10.0.0.2:4000 10.0.0.1 HOST 4711 4660 R 1 A example.org. 45"},
			{"padded by Ethernet", layers{ethernet(ip4), in4(q), zeros(9)}, row4},
			{"IPv4 options", layers{ethernet(ip4), ipv4(udp, 20+40+len(q), 0, 10), q}, row4},
			{"no length of IPv4", layers{ethernet(ip4), ipv4(udp, 0, 0, 0), q}, row4},
			{"IPv4 says less", layers{ethernet(ip4), ipv4(udp, 20+8+20, 0, 0), q}, strings.NewReplacer("Q 1 A example.org. 29", "Q 0   20").Replace(row4)},
			{"UDP says less", layers{ethernet(ip4), ipv4(udp, 20+len(q), 0, 0), udpHeader(4000, 53, 8+20), dnsQuery}, strings.NewReplacer("Q 1 A example.org. 29", "Q 0   20").Replace(row4)},
			{"both say more", layers{ethernet(ip4), ipv4(udp, 60000, 0, 0), udpHeader(4000, 53, 50000), dnsQuery}, row4},
			{"IPv4 header too short", layers{ethernet(ip4), "\x44" + ipv4(udp, 20+len(q), 0, 0)[1:], q}, ""},
			{"first fragment", layers{ethernet(ip4), ipv4(udp, 20+len(q), 0x2000, 0), q}, row4},
			{"another fragment", layers{ethernet(ip4), ipv4(udp, 20+len(q), 0x2001, 0), q}, ""},
			{"last fragment", layers{ethernet(ip4), ipv4(udp, 20+len(q), 100, 0), q}, ""},
			{"another protocol", layers{ethernet(ip4), ipv4(132, 20+len(q), 0, 0), q}, ""},
			{"IPv6 options", layers{ethernet(ip6), in6(0, string([]byte{60, 0})+zeros(6)+string([]byte{43, 1})+zeros(14)+string([]byte{udp, 0})+zeros(6)+q)}, row6},
			{"IPv6 authentication", layers{ethernet(ip6), in6(51, string([]byte{udp, 4})+zeros(22)+q)}, row6},
			{"IPv6 first fragment", layers{ethernet(ip6), in6(44, string([]byte{udp, 0, 0, 1})+zeros(4)+q)}, row6},
			{"IPv6 other fragment", layers{ethernet(ip6), in6(44, string([]byte{udp, 0, 0, 9})+zeros(4)+q)}, ""},
			{"IPv6 too many headers", layers{ethernet(ip6), in6(60, strings.Repeat(string([]byte{60, 0})+zeros(6), 9)+q)}, ""},
			{"IPv6 no header", layers{ethernet(ip6), in6(none, q)}, ""},
			{"VLAN", layers{ethernet(vlan), u16(7), u16(ip4), in4(q)}, row4},
			{"two VLANs", layers{ethernet(0x88a8), u16(7), u16(vlan), u16(0x6008), u16(ip6), in6(udp, q)}, row6},
			{"three VLANs", layers{ethernet(vlan), u16(7), u16(vlan), u16(8), u16(vlan), u16(9), u16(ip4), in4(q)}, ""},
			{"VLAN of ARP", layers{ethernet(vlan), u16(7), u16(0x0806), in4(q)}, ""},
			{"ARP", layers{ethernet(0x0806), in4(q)}, ""},
			{"for another machine", layers{"\x04" + ethernet(ip4)[1:], in4(q)}, ""},
			{"multicast", layers{"\x01" + ethernet(ip4)[1:], in4(q)}, strings.Replace(row4, "HOST", "MULTICAST", 1)},
			{"IPv6 in the type of IPv4", layers{ethernet(ip4), in6(udp, q)}, row6},
			{"version 5", layers{ethernet(ip4), "\x55" + in4(q)[1:]}, ""},
			{"other ports", layers{ethernet(ip4), in4(udpHeader(4000, 54, 8+len(dnsQuery)) + dnsQuery)}, ""},
			{"a short message", layers{ethernet(ip4), in4(over(dnsQuery[:11]))}, ""},
			{"only a header", layers{ethernet(ip4), in4(over(dnsQuery[:12]))}, strings.NewReplacer("Q 1 A example.org. 29", "Q 0   12").Replace(row4)},
		} {
			wantRows(t, c.what, p.pass(t, c.packet.packet()), c.want)
		}
	})
}

// The type is read in the kernel, and again when it is written: both agree, whatever the message.
func TestDNSTypes(t *testing.T) {
	p := loadDNS(t, ebpf.SchedCLS)
	label63 := "\x3f" + strings.Repeat("a", 63)
	longest := strings.Repeat(label63, 3) + "\x3d" + strings.Repeat("a", 61) + "\x00\x00\x21\x00\x01"
	ones := strings.Repeat("\x01a", 127) + "\x00\x00\x21\x00\x01"
	const head = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	for _, message := range []string{
		dnsQuery, dnsAnswer, dnsQuery[:28], dnsQuery[:27], dnsQuery[:26], dnsQuery[:25], dnsQuery[:13],
		head + longest, head + ones, head + "\x01b" + ones, head + "\x01b" + longest, head + "\x40" + longest, head + "\xbf\x00\x00\x01",
		head + "\xc0\x0c\x00\x1c\x00\x01", head + "\xff\xff\x00\x1c\x00\x01", head + "\xc0", head + "\x00\x00\x02\x00\x01",
		"\x12\x34\x84\x00\x00\x00\x00\x00\x00\x00\x00\x01" + dnsName, "\x12\x34\x84\x00\x00\x00\x00\x00\x00\x00\x00\x00" + dnsName,
	} {
		row := p.pass(t, layers{ethernet(ip4), in4(over(message))}.packet())
		f := strings.Split(row, " ")
		if len(f) != 11 {
			t.Fatalf("%q: got %q", message, row)
		}
		kind, ok := dns.Message(message).Type()
		want := ""
		if ok && len(dns.Message(message).AppendName(nil)) > 0 || ok && message[12]&0xc0 == 0xc0 {
			want = string(dns.AppendType(nil, kind))
		}
		if number := string(dns.AppendType(nil, atoi(f[7]))); ok && want != "" && (number != want || f[8] != want) || want == "" && f[7] != "0" {
			t.Errorf("%q: got %q, want the type %s", message, row, want)
		}
	}
}

func atoi(text string) (n uint16) {
	for _, c := range text {
		n = n*10 + uint16(c-'0')
	}
	return n
}

// A message over TCP may begin anywhere in a segment, and its length may come by itself.
func TestDNSOverTCP(t *testing.T) {
	framed := func(m string) string { return u16(len(m)) + m }
	// with returns what a query with the id looks like.
	with := func(id int, message string) string { return u16(id) + message[2:] }
	long := with(7, fill(dnsQuery, 3000))
	type segment struct {
		seq  uint32
		data string
		want string // the ids of the rows
	}
	for _, c := range []struct {
		what     string
		segments []segment
	}{
		{"one", []segment{{100, framed(dnsQuery), "4660"}}},
		{"one after the other", []segment{{100, framed(with(1, dnsQuery)), "1"}, {131, framed(with(2, dnsQuery)), "2"}}},
		{"the length by itself", []segment{{100, u16(len(dnsQuery)), ""}, {102, with(3, dnsQuery), "3"}, {131, framed(with(4, dnsQuery)), "4"}}},
		{"a long one, then another in the same segment", []segment{
			{100, framed(long)[:1400], "7"}, {1500, framed(long)[1400:2800], ""}, {2900, framed(long)[2800:] + framed(with(8, dnsQuery)), "8"},
		}},
		{"across the end of the numbers", []segment{{1<<32 - 10, framed(with(1, dnsQuery)), "1"}, {21, framed(with(2, dnsQuery)), "2"}}},
		{"a connection that is used again", []segment{{100, framed(long)[:1400], "7"}, {5_000_000, framed(with(9, dnsQuery)), "9"}}},
		{"not DNS", []segment{{100, "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", ""}}},
		{"half a header", []segment{{100, framed(dnsQuery)[:13], ""}}},
		{"one byte", []segment{{100, "\x00", ""}}},
	} {
		p := load(t, "trace_dns", ebpf.SchedCLS, nil, "id")
		for i, s := range c.segments {
			data := tcpHeader(4000, 53, s.seq, 3) + s.data
			got := p.pass(t, layers{ethernet(ip4), ipv4(tcp, 20+len(data), 0, 0), data}.packet())
			if got != s.want {
				t.Errorf("%s, segment %d: got %q, want %q", c.what, i, got, s.want)
			}
		}
	}
}

// Of a packet that is cut anywhere, the program reads what is there.
func TestDNSPacketsCut(t *testing.T) {
	p := loadDNS(t, ebpf.SchedCLS)
	whole := layers{ethernet(ip4), ipv4(udp, 60000, 0, 0), udpHeader(4000, 53, 0), dnsAnswer, dnsAnswer}.packet()
	for n := 60; n <= len(whole); n++ {
		if row := p.pass(t, whole[:n]); !strings.HasPrefix(row, "10.0.0.1:4000 10.0.0.2:53 ") {
			t.Errorf("of %d bytes: %q", n, row)
		}
	}
}

func TestDNSPorts(t *testing.T) {
	p := load(t, "trace_dns", ebpf.SchedCLS, map[string]string{"ports": "54,65535"}, "dst")
	for port, want := range map[int]string{53: "", 54: "10.0.0.2:54", 65535: "10.0.0.2:65535", 0: ""} {
		message := udpHeader(4000, port, 8+len(dnsQuery)) + dnsQuery
		wantRows(t, u16(port), p.pass(t, layers{ethernet(ip4), in4(message)}.packet()), want)
	}
}
