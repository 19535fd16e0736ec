// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	macs = "020000000002 020000000001 "
	tcp  = "9c40 0050 00000001 00000002 5018 faf0 0000 0000 "
	udp  = "9c40 0035 0010 0000 "
	ip6  = "20010db8000000000000000000000001 20010db8000000000000000000000002 "
)

// ip4 is a header of IPv4 with the total length in hex, the fragment's field and the protocol.
func ip4(total, fragment, protocol string) string {
	return "4500" + total + "0000" + fragment + "40" + protocol + "0000 0a000001 0a000002 "
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAppend(t *testing.T) {
	t.Parallel()
	const ether, none = unix.ARPHRD_ETHER, unix.ARPHRD_NONE
	for _, c := range []struct {
		hardware uint16
		data     string
		length   int // 0: that of the data
		want     string
	}{
		{ether, macs + "0800" + ip4("00a0", "4000", "06") + tcp, 174, "10.0.0.1:40000 > 10.0.0.2:80 TCP [P.] len 120"},
		{unix.ARPHRD_LOOPBACK, macs + "0800" + ip4("0024", "0000", "11") + udp + "61626364", 0, "10.0.0.1:40000 > 10.0.0.2:53 UDP len 8"},
		{none, ip4("0024", "0000", "11") + udp, 36, "10.0.0.1:40000 > 10.0.0.2:53 UDP len 8"},
		{none, "60000000 0010 11 40" + ip6 + udp, 56, "[2001:db8::1]:40000 > [2001:db8::2]:53 UDP len 8"},
		{ether, macs + "86dd 60000000 0018 00 40" + ip6 + "1100000000000000" + udp, 78, "[2001:db8::1]:40000 > [2001:db8::2]:53 UDP len 8"},
		{ether, macs + "86dd 60000000 0018 2c 40" + ip6 + "1100000800000000" + udp, 78, "2001:db8::1 > 2001:db8::2 UDP fragment at 8 len 16"},
		{ether, macs + "86dd 60000000 0018 2c 40" + ip6 + "1100", 78, "IP (cut)"},
		{ether, macs + "86dd 60000000 0020 3a ff" + ip6 + "8700 0000", 86, "2001:db8::1 > 2001:db8::2 ICMPv6 neighbour solicitation"},
		{ether, macs + "86dd 60000000 0000 06 40" + ip6 + tcp, 200_074, "[2001:db8::1]:40000 > [2001:db8::2]:80 TCP [P.] len 200000"},
		{ether, macs + "0800" + ip4("0000", "4000", "06") + tcp, 100_054, "10.0.0.1:40000 > 10.0.0.2:80 TCP [P.] len 100000"},
		{ether, macs + "0800" + ip4("05dc", "2000", "11") + udp, 1514, "10.0.0.1:40000 > 10.0.0.2:53 UDP fragment at 0 len 1480"},
		{ether, macs + "0800" + ip4("0100", "00b9", "11") + udp, 270, "10.0.0.1 > 10.0.0.2 UDP fragment at 1480 len 236"},
		{ether, macs + "0800" + ip4("0054", "0000", "01") + "0300", 98, "10.0.0.1 > 10.0.0.2 ICMP unreachable"},
		{ether, macs + "0800" + ip4("0054", "0000", "01") + "0301", 98, "10.0.0.1 > 10.0.0.2 ICMP unreachable code 1"},
		{ether, macs + "0800" + ip4("0054", "0000", "01") + "0d00", 98, "10.0.0.1 > 10.0.0.2 ICMP type 13"},
		{ether, macs + "0800" + ip4("0054", "0000", "01"), 98, "10.0.0.1 > 10.0.0.2 ICMP (cut)"},
		{ether, macs + "0800" + ip4("0054", "0000", "06") + "9c40 0050", 98, "10.0.0.1:40000 > 10.0.0.2:80 TCP (cut)"},
		{ether, macs + "0800" + ip4("0054", "0000", "06") + "9c40", 98, "10.0.0.1 > 10.0.0.2 TCP (cut)"},
		{ether, macs + "0800" + ip4("0054", "0000", "06") + "9c40 0050 00000001 00000002 5000 faf0 0000 0000", 98, "10.0.0.1:40000 > 10.0.0.2:80 TCP [none] len 44"},
		{ether, macs + "0800" + ip4("0054", "0000", "2f"), 98, "10.0.0.1 > 10.0.0.2 GRE len 64"},
		{ether, macs + "0800" + ip4("0054", "0000", "c8"), 98, "10.0.0.1 > 10.0.0.2 protocol 200 len 64"},
		{ether, macs + "8100 0007 0800" + ip4("0024", "0000", "11") + udp, 54, "VLAN 7 10.0.0.1:40000 > 10.0.0.2:53 UDP len 8"},
		{ether, macs + "88a8 0fff 8100 2007 0806 0001 0800 0604 0001" + "020000000001 0a000001 000000000000 0a000002", 0, "VLAN 4095 VLAN 7 ARP who has 10.0.0.2 tell 10.0.0.1"},
		{ether, macs + "0806 0001 0800 0604 0002 020000000001 0a000001 000000000000 0a000002", 0, "ARP 10.0.0.1 is at 02:00:00:00:00:01"},
		{ether, macs + "0806 0001", 60, "ARP (cut)"},
		{ether, macs + "88cc 00", 0, "02:00:00:00:00:01 > 02:00:00:00:00:02 LLDP"},
		{ether, macs + "1234", 0, "02:00:00:00:00:01 > 02:00:00:00:00:02 type 0x1234"},
		{ether, "0200", 60, "Ethernet (cut)"},
		{ether, macs + "8100 00", 60, "VLAN (cut)"},
		{ether, macs + "0800", 60, "IP (cut)"},
		{ether, macs + "0800 51", 60, "IP version 5"},
		{ether, macs + "0800 41" + ip4("0054", "0000", "06")[2:], 0, "IP (cut)"},
		{none, "", 60, ""},
		{unix.ARPHRD_CAN, "01", 0, "link type 280"},
	} {
		data := unhex(t, c.data)
		if got := Append([]byte("before "), Packet{c.hardware, data, max(c.length, len(data))}); string(got) != "before "+c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.data, got, c.want)
		}
	}
}

// FuzzAppend: no packet breaks the line, or what it is a part of.
func FuzzAppend(f *testing.F) {
	for _, seed := range []string{macs + "0800" + ip4("00a0", "4000", "06") + tcp, macs + "86dd 60000000 0018 2c 40" + ip6 + "1100000800000000" + udp, macs + "8100 0007 0806 0001"} {
		f.Add(uint16(unix.ARPHRD_ETHER), unhex(f, seed), 1500)
		f.Add(uint16(unix.ARPHRD_NONE), unhex(f, seed)[14:], 0)
	}
	f.Fuzz(func(t *testing.T, hardware uint16, data []byte, length int) {
		before := bytes.Clone(data)
		line := Append(nil, Packet{hardware, data, length})
		for _, c := range line {
			if c < ' ' || c > '~' || c == '"' || c == '\\' {
				t.Fatalf("%q", line)
			}
		}
		if len(line) > 8*len(data)+200 || !bytes.Equal(before, data) {
			t.Fatalf("%d bytes of text for %d", len(line), len(data))
		}
	})
}

func TestNoAllocations(t *testing.T) { // not parallel: others' allocations would count
	data := unhex(t, macs+"86dd 60000000 0018 00 40"+ip6+"1100000000000000"+udp)
	buf := make([]byte, 0, 200)
	if n := testing.AllocsPerRun(100, func() { buf = Append(buf[:0], Packet{unix.ARPHRD_ETHER, data, len(data)}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	data := unhex(b, macs+"0800"+ip4("00a0", "4000", "06")+tcp)
	buf := make([]byte, 0, 200)
	b.ReportAllocs()
	for b.Loop() {
		buf = Append(buf[:0], Packet{unix.ARPHRD_ETHER, data, len(data)})
	}
}
