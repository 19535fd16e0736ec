// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapng_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/encode/pcapng"
	"github.com/gizmo-ebpf/gizmo/event"
)

// section is what a reader makes of a section of a file.
type section struct {
	interfaces []string // LINK NAME
	packets    []read
}

// read is a packet that was read back.
type read struct {
	iface    uint32
	time     uint64
	length   uint32
	data     []byte
	options  map[uint16]string
	rawBlock []byte
}

// parse reads a file and fails the test if it is not one.
func parse(t testing.TB, file []byte) (all []section) {
	t.Helper()
	for len(file) > 0 {
		if len(file) < 12 {
			t.Fatalf("%d bytes after the last block", len(file))
		}
		kind, size := binary.LittleEndian.Uint32(file), binary.LittleEndian.Uint32(file[4:])
		if size < 12 || size%4 != 0 || int(size) > len(file) || binary.LittleEndian.Uint32(file[size-4:]) != size {
			t.Fatalf("block of type %#x: bad size %d of %d", kind, size, len(file))
		}
		body := file[8 : size-4]
		if kind != 0x0A0D0D0A && len(all) == 0 {
			t.Fatal("the file does not begin with a section")
		}
		switch kind {
		case 0x0A0D0D0A:
			if binary.LittleEndian.Uint32(body) != 0x1A2B3C4D {
				t.Fatal("wrong byte order")
			}
			options(t, body[16:])
			all = append(all, section{})
		case 1:
			s := &all[len(all)-1]
			o := options(t, body[8:])
			if o[9] != "\x09" {
				t.Errorf("resolution %q, want nanoseconds", o[9])
			}
			s.interfaces = append(s.interfaces, fmt.Sprint(binary.LittleEndian.Uint16(body), " ", o[2]))
		case 6:
			s := &all[len(all)-1]
			p := read{iface: binary.LittleEndian.Uint32(body), rawBlock: file[:size], length: binary.LittleEndian.Uint32(body[16:])}
			p.time = uint64(binary.LittleEndian.Uint32(body[4:]))<<32 | uint64(binary.LittleEndian.Uint32(body[8:]))
			n := binary.LittleEndian.Uint32(body[12:])
			p.data = body[20 : 20+n]
			p.options = options(t, body[20+(n+3)&^3:])
			if int(p.iface) >= len(s.interfaces) || p.length < n {
				t.Fatalf("packet of interface %d of %d, %d of %d bytes", p.iface, len(s.interfaces), n, p.length)
			}
			s.packets = append(s.packets, p)
		default:
			t.Fatalf("block of type %#x", kind)
		}
		file = file[size:]
	}
	return all
}

func options(t testing.TB, body []byte) map[uint16]string {
	t.Helper()
	all := make(map[uint16]string)
	for len(body) > 0 {
		code, n := binary.LittleEndian.Uint16(body), int(binary.LittleEndian.Uint16(body[2:]))
		body = body[4:]
		if code == 0 {
			if n != 0 || len(body) != 0 {
				t.Fatalf("%d bytes after the end of options", len(body))
			}
			return all
		}
		all[code] = string(body[:n])
		body = body[(n+3)&^3:]
	}
	return all
}

func TestPackets(t *testing.T) {
	t.Parallel()
	s := newSample()
	e := s.bind(t)
	tagged := append(append(ethernet()[:12:12], 0x81, 0, 0x20, 7), ethernet()[12:]...)
	packets := []packet{
		{time: 1, index: 3, name: "eth0", link: 1, payload: ethernet(1, 2, 3), length: 9000, garbage: 7, comm: "curl", pid: 12, container: "web", packetType: 4},
		{time: 2, index: 3, name: "eth0", link: 1, payload: ethernet(), packetType: 0, comm: "a b=\"\x01\xff", pid: 1},
		{time: 3, index: 4, name: "tun0", link: 65534, payload: ip(5), packetType: 1, container: "db"},
		{time: 4, index: 3, name: "eth0", link: 1, payload: ethernet(), vlan: 0x81002007, packetType: 2},
		{time: 5, index: 5, link: 772, payload: nil, length: 70000, packetType: 3, claimed: 100},
		{time: 6, index: 4, name: "tun0", link: 65534, payload: ip(), vlan: 0x81002007, packetType: 9},
	}
	const flags, comment = 2, 1
	in := func(n byte) string { return string([]byte{n, 0, 0, 0}) }
	want := []read{
		{0, bootOffset + 1, 9000, ethernet(1, 2, 3), map[uint16]string{flags: in(2), comment: "comm=curl pid=12 container=web"}, nil},
		{0, bootOffset + 2, 42, ethernet(), map[uint16]string{flags: in(1 | 1<<2), comment: `comm="a b=\"\x01\xff" pid=1`}, nil},
		{1, bootOffset + 3, 29, ip(5), map[uint16]string{flags: in(1 | 3<<2), comment: "container=db"}, nil},
		{0, bootOffset + 4, 46, tagged, map[uint16]string{flags: in(1 | 2<<2)}, nil},
		{2, bootOffset + 5, 70000, []byte{}, map[uint16]string{flags: in(1 | 4<<2)}, nil},
		{1, bootOffset + 6, 28, ip(), map[uint16]string{flags: in(0)}, nil},
	}
	sections := parse(t, e.Append(e.Head([]byte{}), s.batch(packets...)))
	if len(sections) != 1 || fmt.Sprint(sections[0].interfaces) != "[1 eth0 101 tun0 1 ifindex 5]" {
		t.Fatalf("got %d sections, interfaces %v", len(sections), sections[0].interfaces)
	}
	for i, got := range sections[0].packets {
		got.rawBlock = nil
		if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want[i]) {
			t.Errorf("packet %d:\n got %#v\nwant %#v", i, got, want[i])
		}
	}
}

// TestTaken: after text was thrown away, what follows does not depend on it.
func TestTaken(t *testing.T) {
	t.Parallel()
	s := newSample()
	e := s.bind(t)
	first := s.batch(packet{index: 1, link: 1, name: "a"})
	other := s.batch(packet{index: 2, link: 1, name: "b"}, packet{index: 1, link: 1, name: "a"})
	file := e.Append(e.Head(nil), first)
	e.Taken(true)
	e.Lost(5)
	e.Append(nil, other)
	e.Taken(false)
	file = e.Append(file, other)
	file = e.Append(file, first)
	sections := parse(t, file)
	if len(sections) != 2 || fmt.Sprint(sections[0].interfaces, sections[1].interfaces) != "[1 a] [1 b 1 a]" || len(sections[1].packets) != 3 {
		t.Fatalf("got %+v", sections)
	}
	if got := sections[1].packets[0].options[4]; got != "\x05\x00\x00\x00\x00\x00\x00\x00" {
		t.Errorf("got %q lost", got)
	}
}

// TestManyInterfaces: a recording with very many interfaces does not make the encoder remember them all.
func TestManyInterfaces(t *testing.T) {
	t.Parallel()
	s := newSample()
	e := s.bind(t)
	file := e.Head(nil)
	const n = 10_000
	for i := range uint32(n) {
		file = e.Append(file, s.batch(packet{index: i, link: 1}))
	}
	packets := 0
	for _, part := range parse(t, file) {
		if len(part.interfaces) > 4096 {
			t.Errorf("%d interfaces in a section", len(part.interfaces))
		}
		for _, p := range part.packets {
			if want := fmt.Sprint("1 ifindex ", packets); part.interfaces[p.iface] != want {
				t.Fatalf("got %s, want %s", part.interfaces[p.iface], want)
			}
			packets++
		}
	}
	if packets != n {
		t.Errorf("%d packets", packets)
	}
}

// TestLost: the next packet says how many were lost before it.
func TestLost(t *testing.T) {
	t.Parallel()
	s := newSample()
	e := s.bind(t)
	e.Lost(3)
	e.Lost(4)
	file := e.Append(e.Head(nil), s.batch(packet{index: 1}, packet{index: 1}))
	packets := parse(t, file)[0].packets
	if got := packets[0].options[4]; got != "\x07\x00\x00\x00\x00\x00\x00\x00" {
		t.Errorf("got %q lost", got)
	}
	if _, ok := packets[1].options[4]; ok {
		t.Error("the losses are told twice")
	}
}

// TestComments: users choose the fields; long values do not make the file unreadable.
func TestComments(t *testing.T) {
	t.Parallel()
	s := newSample()
	index, _ := s.Lookup("ifindex")
	name, _ := s.Lookup("runtime.containerName")
	for _, c := range []struct{ container, want string }{
		{"", "ifindex=7"},
		{"ü", `ifindex=7 container="ü"`},
		{"\u202ex", `ifindex=7 container="\u202ex"`},
		{strings.Repeat("x", 3000), "ifindex=7 container=" + strings.Repeat("x", 3000)},
		{strings.Repeat("x", 100_000), "ifindex=7 ..."},
		{strings.Repeat("\x01", 100_000), "ifindex=7 ..."},
	} {
		e, err := pcapng.Bind(s.Schema, &s.packets, []int{index, name})
		if err != nil {
			t.Fatal(err)
		}
		file := e.Append(e.Head(nil), s.batch(packet{index: 7, container: c.container}))
		if got := parse(t, file)[0].packets[0].options[1]; got != c.want {
			t.Errorf("got %.100s, want %.100s", got, c.want)
		}
	}
}

func TestBindErrors(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*sample){
		"its events are not packets: no annotation cli.pcap-ng.payload names the field with a packet's bytes":                   func(s *sample) { s.packets.Payload = "" },
		`cli.pcap-ng.payload: there is no field "paylod"; did you mean "payload"?`:                                              func(s *sample) { s.packets.Payload = "paylod" },
		`cli.pcap-ng.payload: the field "ifindex" has values of another kind`:                                                   func(s *sample) { s.packets.Payload = "ifindex" },
		`cli.pcap-ng.interface: the field "payload" has values of another kind`:                                                 func(s *sample) { s.packets.Interface = "payload" },
		`cli.pcap-ng.timestamp: there is no field "tim"`:                                                                        func(s *sample) { s.packets.Timestamp = "tim" },
		"its events come as arrays, which packets do not":                                                                       func(s *sample) { s.Single = false },
		"its packets have no time: it has no field of type gadget_timestamp, and no annotation cli.pcap-ng.timestamp names one": func(s *sample) { s.packets.Timestamp, s.Fields[0].Types = "", nil },
		`cli.pcap-ng.interface-name: the field "ifindex" has values of another kind`:                                            func(s *sample) { s.packets.InterfaceName = "ifindex" },
		`cli.pcap-ng.timestamp: the field "timestamp" has values of another kind`:                                               func(s *sample) { s.Fields[0].Types = nil },
	} {
		s := newSample()
		change(s)
		if _, err := pcapng.Bind(s.Schema, &s.packets, nil); err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
	s := newSample()
	if _, err := pcapng.Bind(s.Schema, nil, nil); err == nil {
		t.Error("no annotations at all are no error")
	}
	s.packets = annotation.Packets{Payload: "payload"} // the least
	e := s.bind(t)
	p := parse(t, e.Append(e.Head(nil), s.batch(packet{time: 9, payload: ethernet()})))[0].packets[0]
	if p.time != bootOffset+9 || !bytes.Equal(p.data, ethernet()) {
		t.Errorf("got %+v", p)
	}
}

// TestAnyBytes: whatever a record has, the file stays readable, and is added to what is there.
func TestAnyBytes(t *testing.T) {
	t.Parallel()
	s := newSample()
	e := s.bind(t)
	r := rand.New(rand.NewPCG(1, 2))
	file := e.Head(nil)
	const rounds, rows = 200, 20
	for range rounds {
		b := &event.Batch{Schema: s.Schema}
		for range rows {
			rec := make([]byte, sizeSample+r.IntN(200))
			for i := range rec {
				rec[i] = byte(r.Uint32())
			}
			b.Rows = append(b.Rows, rec)
		}
		s.containers.Fill(b)
		file = e.Append(file, b)
	}
	packets := 0
	for _, part := range parse(t, file) {
		packets += len(part.packets)
	}
	if packets != rounds*rows {
		t.Errorf("%d packets", packets)
	}
	e = s.bind(t)
	huge := s.batch(packet{payload: make([]byte, 300_000), vlan: 0x81000001, link: 1})
	if p := parse(t, e.Append(e.Head(nil), huge)); len(p[0].packets[0].data) != 262144 || p[0].packets[0].length != 300_000 {
		t.Error("a packet that readers refuse")
	}
}

// TestNoAllocations: nothing is allocated for a packet.
func TestNoAllocations(t *testing.T) { // not parallel: others' allocations would count
	s := newSample()
	e := s.bind(t)
	b := usual(s)
	out := e.Append(e.Head(nil), b)
	if n := testing.AllocsPerRun(100, func() { e.Lost(1); out = e.Append(out[:0], b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// usual is a batch of packets of two interfaces.
func usual(s *sample) *event.Batch {
	var all []packet
	for i := range 512 {
		p := packet{time: uint64(i), index: 3, name: "eth0", link: 1, payload: ethernet(make([]byte, 100)...), comm: "curl", pid: 4711, container: "web"}
		if i%3 == 0 {
			p.index, p.name, p.comm = 4, "veth0", "web server"
		}
		all = append(all, p)
	}
	return s.batch(all...)
}

func BenchmarkAppend(b *testing.B) {
	s := newSample()
	e := s.bind(b)
	batch := usual(s)
	out := e.Append(e.Head(nil), batch)
	b.ReportAllocs()
	for b.Loop() {
		out = e.Append(out[:0], batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch.Rows)), "ns/packet")
}
