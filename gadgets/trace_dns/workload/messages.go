// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// facts are what an event says about its message.
type facts struct {
	ID         int    `json:"id"`
	QR         string `json:"qr"`
	IsAnswer   bool   `json:"qr_raw"`
	Type       string `json:"qtype"`
	TypeNumber int    `json:"qtype_raw"`
	Name       string `json:"name"`
	Code       string `json:"rcode"`
	CodeNumber int    `json:"rcode_raw"`
	NumAnswers int    `json:"num_answers"`
	Addresses  string `json:"addresses"`
	TC         bool   `json:"tc"`
	RA         bool   `json:"ra"`
	RD         bool   `json:"rd"`
	Len        int    `json:"data_len"`
}

type message struct {
	facts
	bytes []byte
}

// exchange is a query and its answer.
type exchange struct{ query, answer *message }

// question is what a query asks for.
type question struct {
	id     int
	name   string
	number dnsmessage.Type
	kind   string // its name
}

func (q question) facts() facts {
	return facts{ID: q.id, QR: "Q", Type: q.kind, TypeNumber: int(q.number), Name: q.name, RD: true}
}

func (q question) header() dnsmessage.Header {
	return dnsmessage.Header{ID: uint16(q.id), RecursionDesired: true}
}

// build writes a message with that question.
func (q question) build(h dnsmessage.Header, f facts, add func(b *dnsmessage.Builder)) *message {
	b := dnsmessage.NewBuilder(nil, h)
	b.EnableCompression()
	workload.Check("build a message", b.StartQuestions())
	workload.Check("build a question", b.Question(dnsmessage.Question{
		Name: dnsmessage.MustNewName(q.name), Type: q.number, Class: dnsmessage.ClassINET,
	}))
	workload.Check("build a message", b.StartAnswers())
	add(&b)
	m := &message{f, workload.Must(b.Finish())}
	m.Len = len(m.bytes)
	return m
}

func (q question) query() *message {
	return q.build(q.header(), q.facts(), func(*dnsmessage.Builder) {})
}

// answered makes the exchange of an answer with that code, with records. The addresses are those that an event shows.
func (q question) answered(code int, name string, records int, addresses string, add func(b *dnsmessage.Builder)) exchange {
	h, f := q.header(), q.facts()
	h.Response, h.RecursionAvailable, h.RCode = true, true, dnsmessage.RCode(code)
	f.QR, f.IsAnswer, f.RA, f.Code, f.CodeNumber, f.NumAnswers, f.Addresses = "R", true, true, name, code, records, addresses
	return exchange{q.query(), q.build(h, f, add)}
}

func nothing(*dnsmessage.Builder) {}

// addresses adds the addresses to an answer.
func addresses(name string, addrs ...string) func(*dnsmessage.Builder) {
	return func(b *dnsmessage.Builder) {
		head := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: 60}
		for _, text := range addrs {
			if a := netip.MustParseAddr(text); a.Is4() {
				workload.Check("add an address", b.AResource(head, dnsmessage.AResource{A: a.As4()}))
			} else {
				workload.Check("add an address", b.AAAAResource(head, dnsmessage.AAAAResource{AAAA: a.As16()}))
			}
		}
	}
}

// aliases adds a chain of aliases, at whose end are the addresses.
func aliases(names []string, addrs ...string) func(*dnsmessage.Builder) {
	return func(b *dnsmessage.Builder) {
		for i := range len(names) - 1 {
			head := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(names[i]), Class: dnsmessage.ClassINET, TTL: 60}
			to := dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(names[i+1])}
			workload.Check("add an alias", b.CNAMEResource(head, to))
		}
		addresses(names[len(names)-1], addrs...)(b)
	}
}

func text(b *dnsmessage.Builder) {
	head := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("text.example."), Class: dnsmessage.ClassINET}
	workload.Check("add a text", b.TXTResource(head, dnsmessage.TXTResource{TXT: []string{"v=spf1 -all"}}))
}

// exchanges are those that both transports have.
func exchanges() []exchange {
	chain := []string{"www.example.org.", "cdn.example.net.", "edge.cdn.example.net."}
	list := []exchange{
		question{1, "one.example.", dnsmessage.TypeA, "A"}.answered(0, "Success", 1, "192.0.2.1", addresses("one.example.", "192.0.2.1")),
		question{2, "six.example.", dnsmessage.TypeAAAA, "AAAA"}.answered(0, "Success", 2, "2001:db8::1,2001:db8::2",
			addresses("six.example.", "2001:db8::1", "2001:db8::2")),
		question{3, chain[0], dnsmessage.TypeA, "A"}.answered(0, "Success", 4, "192.0.2.7,192.0.2.8", aliases(chain, "192.0.2.7", "192.0.2.8")),
		question{4, "text.example.", dnsmessage.TypeTXT, "TXT"}.answered(0, "Success", 1, "", text),
		question{5, "missing.example.", dnsmessage.TypeA, "A"}.answered(3, "NameError", 0, "", nothing),
		question{6, "broken.example.", dnsmessage.TypeMX, "MX"}.answered(2, "ServerFailure", 0, "", nothing),
		question{65535, "refused.example.", 65, "HTTPS"}.answered(5, "Refused", 0, "", nothing),
		question{8, ".", dnsmessage.TypeNS, "NS"}.answered(0, "Success", 0, "", nothing),
		question{9, "odd.example.", 4711, "4711"}.answered(0, "Success", 0, "", nothing),
		odd(10, "\x01a\x03b.c\x02\xc3\xa4\x00", `a.b\.c.\195\164.`),
		odd(11, "\x01a\xc0\x0c", ""), // a loop
	}
	truncated := question{12, "large.example.", dnsmessage.TypeA, "A"}.answered(0, "Success", 0, "", nothing)
	truncated.answer.bytes[2] |= 2
	truncated.answer.TC = true
	list = append(list, truncated, many(13, 60)) // as EDNS allows
	return list
}

// odd is an exchange about a name that other programs would not make. The answer has the same name.
func odd(id int, name, shown string) exchange {
	q := question{id, "x.", dnsmessage.TypeA, "A"}
	e := q.answered(0, "Success", 0, "", nothing)
	for _, m := range []*message{e.query, e.answer} {
		const header, typeAndClass = 12, 4
		m.bytes = append(append(m.bytes[:header:header], name...), m.bytes[len(m.bytes)-typeAndClass:]...)
		m.Name, m.Len = shown, len(m.bytes)
	}
	return e
}

// many is an exchange with n addresses.
func many(id, n int) exchange {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("198.51.%d.%d", 100+i/256, i%256)
	}
	const name = "many.example."
	return question{id, name, dnsmessage.TypeA, "A"}.answered(0, "Success", n, strings.Join(list, ","), addresses(name, list...))
}

// long are exchanges with more than UDP takes from most servers, and one with more than the gadget reads.
func long() []exchange {
	const most, question, record = 4096, 12 + 14 + 4, 2 + 14
	cut := many(15, 300)
	cut.answer.Len = most
	cut.answer.Addresses = strings.Join(strings.Split(cut.answer.Addresses, ",")[:(most-question)/record], ",")
	return []exchange{many(14, 200), cut}
}
