// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package dns_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/gizmo-ebpf/gizmo/internal/dns"
)

// show reads all that the package reads.
func show(m dns.Message) string {
	var b []byte
	if kind, ok := m.Type(); ok {
		b = dns.AppendType(b, kind)
	}
	b = append(m.AppendName(append(b, ' ')), ' ')
	if code, ok := m.RCode(); ok {
		b = append(dns.AppendRCode(append(b, "R "...), code), ' ')
	}
	return string(m.AppendAddresses(b))
}

// The header's counts, in messages made by hand.
func header(flags string, counts ...int) string {
	h := "\x12\x34" + flags
	for _, n := range counts {
		h += string([]byte{byte(n >> 8), byte(n)})
	}
	return h + strings.Repeat("\x00", 12-len(h))
}

const (
	query  = "\x01\x00"
	answer = "\x81\x80"
	isA    = "\x00\x01\x00\x01"         // type and class
	ttl    = "\x00\x00\x00\x01"         // of a record
	self   = "\xc0\x0c"                 // the name of the question
	addr   = isA + ttl + "\x00\x04\x01" // the record of an address, but for the last three bytes
)

func TestMessages(t *testing.T) {
	t.Parallel()
	name := "\x07example\x03org\x00"
	label63 := "\x3f" + strings.Repeat("a", 63)
	plain63 := strings.Repeat("a", 63) + "."
	for _, c := range []struct{ what, message, want string }{
		{"query", header(query, 1) + name + isA, "A example.org. "},
		{"root", header(query, 1) + "\x00\x00\x02\x00\x01", "NS . "},
		{"unknown type", header(query, 1) + name + "\xff\x00\x00\x01", "65280 example.org. "},
		{"strange bytes", header(query, 1) + "\x06a.b\\ \xff\x00" + isA, `A a\.b\\\032\255. `},
		{"longest name", header(query, 1) + strings.Repeat(label63, 3) + "\x3d" + label63[1:62] + "\x00" + isA,
			"A " + strings.Repeat(plain63, 3) + plain63[2:] + " "},
		{"name that is too long", header(query, 1) + strings.Repeat(label63, 3) + "\x3e" + label63[1:63] + "\x00" + isA, "A  "},
		{"label that is too long", header(query, 1) + "\x40" + strings.Repeat("a", 64) + "\x00" + isA, "  "},
		{"name without its end", header(query, 1) + "\x07example", "  "},
		{"no type", header(query, 1) + name + "\x00", " example.org. "},
		{"no question", header(query, 0), "  "},

		{"answer", header(answer, 1, 1) + name + isA + self + addr + "\x02\x03\x04", "A example.org. R Success 1.2.3.4"},
		{"two answers", header(answer, 1, 2) + name + isA + self + addr + "\x02\x03\x04" + self + addr + "\x02\x03\x05",
			"A example.org. R Success 1.2.3.4,1.2.3.5"},
		{"fewer answers than promised", header(answer, 1, 65535) + name + isA + self + addr + "\x02\x03\x04",
			"A example.org. R Success 1.2.3.4"},
		{"more questions than there are", header(answer, 65535, 1) + name + isA + self + addr + "\x02\x03\x04",
			"A example.org. R Success "},
		{"an address cut short", header(answer, 1, 1) + name + isA + self + addr + "\x02\x03", "A example.org. R Success "},
		{"an address of three bytes", header(answer, 1, 2) + name + isA + self + isA + ttl + "\x00\x03\x01\x02\x03" + self + addr + "\x02\x03\x04",
			"A example.org. R Success 1.2.3.4"},
		{"another class", header(answer, 1, 1) + name + isA + self + "\x00\x01\x00\x03" + ttl + "\x00\x04\x01\x02\x03\x04", "A example.org. R Success "},
		{"multicast answer", header("\x84\x00", 0, 1) + name + "\x00\x01\x80\x01" + ttl + "\x00\x04\x01\x02\x03\x04", "A example.org. R Success 1.2.3.4"},
		{"no such name", header("\x81\x83", 1) + name + isA, "A example.org. R NameError "},
		{"unknown code", header("\x81\x8f", 1) + name + isA, "A example.org. R 15 "},

		{"loop of one pointer", header(answer, 1, 1) + self + isA + self + addr + "\x02\x03\x04", "A  R Success 1.2.3.4"},
		{"loop through a label", header(query, 1) + "\x01a" + self + isA, "A  "},
		{"loop of two pointers", header(query, 1) + "\xc0\x12\x00\x01\x00\x01\xc0\x0c", "A  "},
		{"pointer beyond the end", header(query, 1) + "\xc1\x00" + isA, "A  "},
		{"half a pointer", header(query, 1) + "\xc0", "  "},
		{"pointer into the header", header(query, 1) + "\xc0\x06" + isA, "A . "},
		{"chain", header(query, 1) + "\x01a\xc0\x14" + isA + "\x01b\xc0\x18\x00\x00", "A a.b. "},
		{"header cut short", header(query, 1)[:11], "  "},
		{"nothing", "", "  "},
	} {
		if got := show(dns.Message(c.message)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
	}
}

// packed returns an answer with all that makes names and records difficult.
func packed(t testing.TB) dns.Message {
	t.Helper()
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: 7, Response: true, RecursionDesired: true})
	b.EnableCompression()
	names := make([]dnsmessage.Name, 4)
	for i := range names {
		names[i] = dnsmessage.MustNewName(fmt.Sprintf("host%d.example.org.", i))
	}
	head := func(i int) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: names[i], Class: dnsmessage.ClassINET, TTL: 5}
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(b.StartQuestions())
	must(b.Question(dnsmessage.Question{Name: names[0], Type: dnsmessage.TypeAAAA, Class: dnsmessage.ClassINET}))
	must(b.StartAnswers())
	for i := range 3 {
		must(b.CNAMEResource(head(i), dnsmessage.CNAMEResource{CNAME: names[i+1]}))
	}
	must(b.AAAAResource(head(3), dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::1").As16()}))
	must(b.TXTResource(head(3), dnsmessage.TXTResource{TXT: []string{"text"}}))
	must(b.AResource(head(3), dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}))
	must(b.StartAdditionals())
	must(b.AResource(head(3), dnsmessage.AResource{A: [4]byte{192, 0, 2, 2}})) // no answer
	m, err := b.Finish()
	must(err)
	return m
}

func TestPacked(t *testing.T) {
	t.Parallel()
	const want = "AAAA host0.example.org. R Success 2001:db8::1,192.0.2.1"
	m := packed(t)
	if got := show(m); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for n := range m { // a truncated message has less, never something else
		got := show(m[:n:n])
		name, addresses, _ := strings.Cut(strings.TrimSuffix(got, " "), " R Success")
		if !strings.HasPrefix("AAAA host0.example.org.", strings.TrimSpace(name)) && name != " host0.example.org." ||
			!strings.HasPrefix(" 2001:db8::1,192.0.2.1", addresses) {
			t.Errorf("of %d bytes: got %q", n, got)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	m, buf := packed(t), make([]byte, 0, 1024)
	n := testing.AllocsPerRun(100, func() {
		kind, _ := m.Type()
		code, _ := m.RCode()
		buf = dns.AppendRCode(dns.AppendType(m.AppendAddresses(m.AppendName(buf[:0])), kind), code)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzMessage reads anything, and compares what it gets with another parser that understands the message.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(packed(f)))
	f.Add([]byte(header(query, 1) + "\x01a" + self + isA))
	f.Add([]byte(header(answer, 1, 65535) + "\x00" + isA + strings.Repeat(self+addr+"\x02\x03\x04", 3)))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := dns.Message(data)
		got := show(m)
		if limit := 4*255 + 100 + len(m)*4; len(got) > limit {
			t.Errorf("%d bytes of text from %d", len(got), len(m))
		}
		want, ok := other(m)
		if ok && got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// other is show by another parser; false if that refuses the message, or does not write it as this package does.
func other(m dns.Message) (string, bool) {
	var p dnsmessage.Parser
	h, err := p.Start(m)
	if err != nil {
		return "", false
	}
	questions, err := p.AllQuestions()
	if err != nil || len(questions) == 0 {
		return "", false
	}
	q := questions[0]
	if strings.ContainsFunc(q.Name.String(), func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return "", false
	}
	b := dns.AppendType(nil, uint16(q.Type))
	b = append(b, ' ')
	b = append(append(b, q.Name.String()...), ' ')
	if h.Response {
		b = append(dns.AppendRCode(append(b, "R "...), uint16(h.RCode)), ' ')
	}
	var addresses []string
	for {
		r, err := p.AnswerHeader()
		if err == dnsmessage.ErrSectionDone {
			return string(b) + strings.Join(addresses, ","), true
		}
		if err != nil {
			return "", false
		}
		if r.Class&^0x8000 != dnsmessage.ClassINET || r.Type != dnsmessage.TypeA && r.Type != dnsmessage.TypeAAAA {
			if err := p.SkipAnswer(); err != nil {
				return "", false
			}
			continue
		}
		if r.Type == dnsmessage.TypeA && r.Length != 4 || r.Type == dnsmessage.TypeAAAA && r.Length != 16 {
			return "", false
		}
		addr, err := address(&p, r.Type)
		if err != nil {
			return "", false
		}
		addresses = append(addresses, addr.String())
	}
}

func address(p *dnsmessage.Parser, kind dnsmessage.Type) (netip.Addr, error) {
	if kind == dnsmessage.TypeA {
		r, err := p.AResource()
		return netip.AddrFrom4(r.A), err
	}
	r, err := p.AAAAResource()
	return netip.AddrFrom16(r.AAAA), err
}

func BenchmarkAnswer(b *testing.B) {
	m, buf := packed(b), make([]byte, 0, 1024)
	for b.Loop() {
		kind, _ := m.Type()
		buf = dns.AppendType(m.AppendAddresses(m.AppendName(buf[:0])), kind)
	}
}
