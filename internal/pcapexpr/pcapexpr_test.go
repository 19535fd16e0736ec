// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/bpf"
)

func TestMistakes(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"tcp prot 80":                       `column 5: unknown word "prot"; did you mean "port"?`,
		"tcp port 80 adn host 10.0.0.1":     `column 13: unknown word "adn"; did you mean "and"?`,
		"TCP":                               `column 1: unknown word "TCP"; did you mean "tcp"?`,
		"tcp[tcpflag] & 1 != 0":             `column 5: unknown word "tcpflag"; did you mean "tcpflags"?`,
		"port htpp":                         `column 6: unknown service "htpp"; did you mean "http"?`,
		"ip proto tcpp":                     `column 10: unknown protocol "tcpp"; did you mean "tcp"?`,
		"host example.com":                  `column 6: "example.com" is no address, and names of hosts are not looked up`,
		"net tcp":                           `column 5: unexpected "tcp"; expected the address of a network`,
		"port":                              `column 5: the expression ends here; expected a port`,
		"tcp port 80 and":                   `column 16: the expression ends here; expected a condition`,
		"len >":                             `column 6: the expression ends here; expected a number`,
		"(tcp":                              `column 5: the expression ends here; expected ")"`,
		"tcp)":                              `column 4: unexpected ")"; expected "and" or "or"`,
		"()":                                `column 2: unexpected ")"; expected a condition`,
		"tcp tcp":                           `column 5: unexpected "tcp"; expected "and" or "or"`,
		"port (80 tcp)":                     `column 10: unexpected "tcp"; expected ")"`,
		"port 70000":                        `column 6: a port must be from 0 to 65535, not 70000`,
		"portrange 80-90000":                `column 11: "80-90000" is no range of ports`,
		"host 300.1.1.1":                    `column 6: "300.1.1.1" is no address`,
		"net 10.0.0.1/8":                    `column 5: the address 10.0.0.1 has bits outside of the network; it begins with 10.0.0.0`,
		"net 2001:db8::1/32":                `column 5: the address 2001:db8::1 has bits outside of the network; it begins with 2001:db8::`,
		"net 10.0.0.0/33":                   `column 14: the length of the network's prefix must be from 0 to 32, not 33`,
		"net 1.2.3.0 mask x":                `column 18: "x" is no mask`,
		"net 1:2:3:4:5:6":                   `column 5: "1:2:3:4:5:6" is the address of a host`,
		"ether host 10.0.0.1":               `column 12: "10.0.0.1" is no Ethernet address`,
		"host 1:2:3:4:5:6":                  `column 6: "1:2:3:4:5:6" is an Ethernet address: write "ether"`,
		"tcp or 10.0.0.1":                   `column 8: what is "10.0.0.1"? Write "host"`,
		"80":                                `column 1: this is a number and no condition`,
		"tcp and (5)":                       `column 9: this is a number and no condition`,
		"len = tcp":                         `column 7: expected a number, and this is a condition`,
		"tcp[0:3] = 1":                      `column 7: 1, 2 or 4 bytes can be read, not 3`,
		"tcp[-1] = 1":                       `column 1: an offset must be from 0 to 65535`,
		"len / 0 = 1":                       `column 5: division by zero`,
		"len << 32 = 1":                     `column 5: a shift by more than 31 bits`,
		"08 = len":                          `column 1: 08 is no number of 32 bits`,
		"vlan 5000":                         `column 6: the number of vlan must be from 0 to 4095, not 5000`,
		"mpls and vlan":                     `column 10: there is no VLAN tag behind "mpls" or "pppoes"`,
		"mpls and arp":                      `column 10: behind "mpls" only IP and IPv6 can be told apart`,
		"pppoes and ether host 1:2:3:4:5:6": `column 23: there is no Ethernet header behind "pppoes"`,
		"gateway 1.2.3.4":                   `column 1: "gateway" is not supported`,
		"ip6 protochain 6":                  `column 5: "protochain" is not supported`,
		"ip broadcast":                      `column 1: "ip broadcast" needs the mask of the network`,
		"tcp host 1.2.3.4":                  `column 1: "tcp" cannot stand before an address of IPv4`,
		"ip host ::1":                       `column 1: "ip" cannot stand before an address of IPv6`,
		"ip port 80":                        `column 1: "ip" cannot stand before "port"`,
		"udp port ssh":                      `column 10: the service "ssh" does not use udp`,
		"ip proto 256":                      `column 10: a protocol must be from 0 to 255`,
		"src proto 5":                       `column 5: a protocol has no direction`,
		"tcp # 5":                           `column 5: unexpected "#"`,
		"tcp \x01":                          `column 5: the expression has a character that is no text`,
		"tcp \xff":                          `column 5: the expression has a character that is no text`,
		"tcp and ä":                         `column 9: unexpected "ä"; expected a condition`,
		"tcp or ä or x":                     `column 8: unexpected "ä"`,
		"tcp and udp":                       `the expression matches no packet: its parts contradict each other`,
		"arp and ip6 or 5 < 3":              `the expression matches no packet: its parts contradict each other`,
		strings.Repeat("(", 10000) + "tcp" + strings.Repeat(")", 10000): `column 101: parentheses are nested more than 100 deep`,
		strings.Repeat("-", 10000) + "len = 1":                          `column 101: parentheses are nested more than 100 deep`,
		strings.Repeat("ip[", 10000):                                    `nested more than 100 deep`,
		"ip[0]" + strings.Repeat("+ip[0]", 5000) + " = 1":               `the calculation is too big: it needs more than 1024 instructions`,
		strings.Repeat("tcp or ", 200000) + "tcp":                       `the expression has 1400003 bytes; at most 65536 are allowed`,
		strings.Repeat("a", 1<<20):                                      `the expression has 1048576 bytes; at most 65536 are allowed`,
		hosts(500):                                                      `the expression is too big: it needs`,
		hosts(2000):                                                     `the expression is too big: it makes more than 16384 comparisons`,
		strings.Repeat("1=len|", 10000) + "1":                           `column`,
	} {
		began := time.Now()
		_, err := Compile(expression)
		var mistake *Error
		if !errors.As(err, &mistake) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want something with %q", expression, err, want)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%.60q took %v", expression, took)
		}
	}
}

func hosts(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("host 10.0.%d.%d", i/256, i%256)
	}
	return strings.Join(all, " or ")
}

// What tcpdump refuses, because it has a stricter grammar or no name for it.
func TestMoreThanTcpdump(t *testing.T) {
	t.Parallel()
	for expression, same := range map[string]string{
		"net 10/8":                         "net 10.0.0.0/8",
		"ip proto tcp":                     `ip proto \tcp`,
		"ip proto gre":                     "ip proto 47",
		"not not tcp":                      "tcp",
		"icmpv6":                           "icmp6",
		"portrange 90-80":                  "portrange 80-90",
		"  tcp\tport\n80  ":                "tcp port 80",
		strings.Repeat("!", 10000) + "tcp": "tcp",
	} {
		one, err := Compile(expression)
		two, err2 := Compile(same)
		if err != nil || err2 != nil || !slices.Equal(one, two) {
			t.Errorf("%.40q: got %v, %v; want what %q gives: %v, %v", expression, one, err, same, two, err2)
		}
	}
}

// An empty expression lets everything pass.
func TestEmpty(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"", " \n"} {
		got, err := Compile(expression)
		if err != nil || !slices.Equal(got, []bpf.Instruction{bpf.RetConstant{Val: 1}}) {
			t.Errorf("%q: got %v, %v", expression, got, err)
		}
	}
}

// The tag of a VLAN may be beside the packet.
func TestTagBesidePacket(t *testing.T) {
	t.Parallel()
	tcp := make([]byte, 60)
	copy(tcp[12:], "\x08\x00\x45")
	tcp[23] = 6
	inner := slices.Concat(tcp[:12], []byte("\x81\x00\x00\xc8"), tcp[12:]) // with the tag 200
	for _, c := range []struct {
		expression string
		packet     []byte
		tag        int
		want       bool
	}{
		{"vlan", tcp, -1, false},
		{"vlan", tcp, 100, true},
		{"vlan 100", tcp, 100, true},
		{"vlan 100", tcp, 0x3000 | 100, true}, // with a priority
		{"vlan 100", tcp, 101, false},
		{"vlan 100 and tcp", tcp, 100, true},
		{"vlan and udp", tcp, 100, false},
		{"vlan 200", inner, -1, true},
		{"vlan 200", inner, 100, false},
		{"vlan 100 and vlan 200 and tcp", inner, 100, true},
		{"vlan 100 and vlan 200 and tcp", inner, -1, false},
		{"not vlan", tcp, 100, false},
		{"not vlan", tcp, -1, true},
		{"tcp", tcp, 100, true},
		{"tcp and not (vlan 100)", tcp, 100, false},
	} {
		program, err := Compile(c.expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := matches(t, machine(t, program, c.tag), c.packet); got != c.want {
			t.Errorf("%s, tag %d: got %v", c.expression, c.tag, got)
		}
	}
}

// Jumps may be longer than an instruction can say.
func TestLongJumps(t *testing.T) {
	t.Parallel()
	program, err := Compile("not (" + hosts(150) + ")")
	if err != nil {
		t.Fatal(err)
	}
	if len(program) < 1000 {
		t.Fatalf("the program has only %d instructions", len(program))
	}
	vm := machine(t, program, -1)
	for i, want := range map[int]bool{0: false, 75: false, 149: false, 150: true} {
		p := make([]byte, 60)
		copy(p[12:], "\x08\x00\x45")
		copy(p[26:], []byte{10, 0, 0, byte(i)})
		if got := matches(t, vm, p); got != want {
			t.Errorf("host %d: got %v", i, got)
		}
	}
}

// Compile neither panics nor takes long, and what it returns is a valid program.
func FuzzCompile(f *testing.F) {
	for _, expression := range corpus(f) {
		f.Add(expression)
	}
	f.Add("vlan 5 and mpls 6 and (tcp[len:2] + 1 << 3 ^ 2 > 08 or ether host 1-2-3-4-5-6)")
	f.Fuzz(func(t *testing.T, expression string) {
		began := time.Now()
		program, err := Compile(expression)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		if err != nil {
			var mistake *Error
			if !errors.As(err, &mistake) || mistake.Column < 0 || mistake.Column > len(expression)+1 {
				t.Errorf("the error %#v", err)
			}
			return
		}
		if len(program) > MaxInstructions {
			t.Errorf("%d instructions", len(program))
		}
		packet := make([]byte, 200)
		copy(packet, expression)
		matches(t, machine(t, program, len(expression)%3-1), packet)
	})
}

func BenchmarkCompile(b *testing.B) {
	for _, expression := range []string{"tcp port 80", "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)", hosts(100)} {
		b.Run(fmt.Sprintf("%.20s", expression), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compile(expression); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
