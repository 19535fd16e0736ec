// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapng_test

import (
	"encoding/binary"
	"strconv"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/encode/pcapng"
	"github.com/gizmo-ebpf/gizmo/event"
)

// The places of the sample's fields.
const (
	offTime     = 0
	offType     = 8
	offIndex    = 12
	offCaptured = 16
	offLength   = 20
	offComm     = 24
	offPID      = 40
	offName     = 44
	offLink     = 60
	offVLAN     = 64
	sizeSample  = 68
)

// bootOffset is what the sample's times lack to Unix time.
const bootOffset = 1_700_000_000_000_000_000

// sample is a schema of packets, and what makes batches of it.
type sample struct {
	*event.Schema
	texts      event.Texts
	containers event.Column
	packets    annotation.Packets
}

func newSample() *sample {
	s := &sample{Schema: &event.Schema{Name: "packets", Single: true, Size: sizeSample}}
	proc := event.NoParent
	add := func(name string, kind event.Kind, off, size uint32, types ...string) int {
		s.Fields = append(s.Fields, event.Field{Name: name, Kind: kind, Off: off, Size: size, Types: types, Parent: proc})
		return len(s.Fields) - 1
	}
	time := add("timestamp_raw", event.Uint, offTime, 8, "gadget_timestamp")
	s.Fields[time].Text = func(dst []byte, b *event.Batch, row int) []byte {
		return strconv.AppendUint(dst, binary.LittleEndian.Uint64(b.Rows[row][offTime:])+bootOffset, 10)
	}
	add("packet_type", event.Uint, offType, 1)
	add("ifindex", event.Uint, offIndex, 4)
	add("payload_len", event.Uint, offCaptured, 4)
	add("packet_size", event.Uint, offLength, 4)
	proc = add("proc", event.Struct, offComm, 20)
	add("proc.comm", event.String, offComm, 16)
	add("proc.pid", event.Uint, offPID, 4)
	proc = event.NoParent
	add("name", event.String, offName, 16)
	add("link", event.Uint, offLink, 2)
	add("vlan", event.Uint, offVLAN, 4)
	s.Fields = append(s.Fields, event.Field{
		Name: "payload", Kind: event.Bytes, Off: sizeSample, Rest: true, LenOff: offCaptured, LenSize: 4, Parent: event.NoParent,
	})
	s.Add(event.Field{Name: "timestamp", Kind: event.String, Parent: event.NoParent, Text: func(dst []byte, _ *event.Batch, _ int) []byte {
		return append(dst, "a date"...)
	}})
	s.containers = s.AddColumn(event.Field{Name: "runtime.containerName", Kind: event.String, Parent: event.NoParent, Table: &s.texts})
	s.packets = annotation.Packets{
		Payload: "payload", Timestamp: "timestamp", Interface: "ifindex", InterfaceName: "name", CaptureLength: "payload_len",
		PacketLength: "packet_size", PacketType: "packet_type", LinkType: "link", VLAN: "vlan",
	}
	return s
}

func (s *sample) bind(t testing.TB) *pcapng.Encoder {
	t.Helper()
	e, err := pcapng.Bind(s.Schema, &s.packets, pcapng.DefaultFields(s.Schema))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// packet is an event of the sample.
type packet struct {
	time             uint64
	packetType       byte
	index            uint32
	name             string
	link             uint16
	vlan             uint32
	payload          []byte
	length           uint32 // 0: that of the payload
	comm             string
	pid              uint32
	container        string
	garbage, claimed int // bytes after the payload, and by how much its length is overstated
}

func (s *sample) batch(packets ...packet) *event.Batch {
	b := &event.Batch{Schema: s.Schema}
	for _, p := range packets {
		rec := make([]byte, sizeSample, sizeSample+len(p.payload)+p.garbage)
		binary.LittleEndian.PutUint64(rec[offTime:], p.time)
		rec[offType] = p.packetType
		binary.LittleEndian.PutUint32(rec[offIndex:], p.index)
		binary.LittleEndian.PutUint32(rec[offCaptured:], uint32(len(p.payload)+p.claimed))
		binary.LittleEndian.PutUint32(rec[offLength:], max(p.length, uint32(len(p.payload))))
		copy(rec[offComm:offComm+16], p.comm)
		binary.LittleEndian.PutUint32(rec[offPID:], p.pid)
		copy(rec[offName:offName+16], p.name)
		binary.LittleEndian.PutUint16(rec[offLink:], p.link)
		binary.LittleEndian.PutUint32(rec[offVLAN:], p.vlan)
		rec = append(rec, p.payload...)
		for range p.garbage {
			rec = append(rec, 0xee)
		}
		b.Rows = append(b.Rows, rec)
	}
	for row, handles := 0, s.containers.Fill(b); row < len(handles); row++ {
		handles[row] = s.texts.Handle(packets[row].container)
	}
	return b
}

// ethernet is a packet of UDP over IPv4 with an Ethernet header, from 10.0.0.1:4000 to 10.0.0.2:53.
func ethernet(data ...byte) []byte {
	p := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 0}
	return append(p, ip(data...)...)
}

// ip is the same without its Ethernet header.
func ip(data ...byte) []byte {
	udp := 8 + len(data)
	p := []byte{0x45, 0, 0, byte(20 + udp), 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x0f, 0xa0, 0, 53, 0, byte(udp), 0, 0}
	return append(p, data...)
}
