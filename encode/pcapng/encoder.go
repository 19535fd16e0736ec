// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapng

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// maxPacket limits the bytes of a packet: readers refuse files with longer ones. A recording can have them.
const maxPacket = 262144

// maxInterfaces is the number of interfaces after which a new section begins, which describes its own. It limits the memory that a
// recording can make an encoder take.
const maxInterfaces = 4096

// Encoder writes the packets of one data source. It is for one run; only [Encoder.Lost] is safe for use by several goroutines.
type Encoder struct {
	fields
	labels  []label
	scratch []byte

	interfaces map[device]uint32 // their numbers in the section
	last       device            // of the packet before
	lastNumber uint32
	restart    bool
	lost       atomic.Uint64 // since the last packet
	told       uint64        // of the losses, what is in text that may be thrown away
}

// device is what distinguishes interfaces: two network namespaces may have the same index.
type device struct {
	index uint64
	link  uint16
	name  [16]byte
}

// fields are what is read of an event.
type fields struct {
	payload, time                             event.Reader
	index, captured, length, packetType, link event.Reader
	name, vlan                                event.Reader

	hasIndex, hasCaptured, hasLength, hasType, hasLink, hasName, hasVLAN bool
}

// Bind prepares for the packets of s. The fields with the given indices become comments.
func Bind(s *event.Schema, p *annotation.Packets, comment []int) (*Encoder, error) {
	if p == nil || p.Payload == "" {
		return nil, fmt.Errorf("its events are not packets: no annotation %s names the field with a packet's bytes", annotation.PayloadKey)
	}
	if !s.Single {
		return nil, errors.New("its events come as arrays, which packets do not")
	}
	e := &Encoder{interfaces: make(map[device]uint32)}
	var err error
	if e.labels, err = newLabels(s, comment); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		key, name string
		to        *event.Reader
		has       *bool
		check     func(*event.Reader) bool
	}{
		{annotation.PayloadKey, p.Payload, &e.payload, new(bool), isBytes},
		{annotation.TimestampKey, timeField(s, p.Timestamp), &e.time, new(bool), isInteger},
		{annotation.InterfaceKey, p.Interface, &e.index, &e.hasIndex, isInteger},
		{annotation.CaptureLengthKey, p.CaptureLength, &e.captured, &e.hasCaptured, isInteger},
		{annotation.PacketLengthKey, p.PacketLength, &e.length, &e.hasLength, isInteger},
		{annotation.PacketTypeKey, p.PacketType, &e.packetType, &e.hasType, isInteger},
		{annotation.LinkTypeKey, p.LinkType, &e.link, &e.hasLink, isInteger},
		{annotation.InterfaceNameKey, p.InterfaceName, &e.name, &e.hasName, isText},
		{annotation.VLANKey, p.VLAN, &e.vlan, &e.hasVLAN, isInteger},
	} {
		if f.name == "" {
			if f.key == annotation.TimestampKey {
				return nil, fmt.Errorf("its packets have no time: it has no field of type gadget_timestamp, and no annotation %s names one", f.key)
			}
			continue
		}
		if *f.to, err = readerOf(s, f.name, f.check); err != nil {
			return nil, fmt.Errorf("%s: %w", f.key, err)
		}
		*f.has = true
	}
	return e, nil
}

// readerOf returns a reader of the field of that name.
func readerOf(s *event.Schema, name string, check func(*event.Reader) bool) (event.Reader, error) {
	i, ok := s.Lookup(name)
	if !ok {
		return event.Reader{}, fmt.Errorf("there is no field %q%s", name, nearest.Hint(name, names(s)))
	}
	r, err := s.Reader(i)
	if err == nil && !check(&r) {
		err = fmt.Errorf("the field %q has values of another kind", name)
	}
	return r, err
}

func names(s *event.Schema) []string {
	var list []string
	for i := range s.Fields {
		list = append(list, s.Fields[i].Name)
	}
	return list
}

func isInteger(r *event.Reader) bool { return r.Form() == event.FormUint || r.Form() == event.FormInt }
func isText(r *event.Reader) bool    { return r.Form() == event.FormText }
func isBytes(r *event.Reader) bool   { return r.Form() == event.FormBytes || r.Form() == event.FormText }

// timeField returns the name of the number for the field that an annotation names as the time: "timestamp" is the text of
// "timestamp_raw". Without an annotation it is the first time of an event.
func timeField(s *event.Schema, name string) string {
	for i := range s.Fields {
		f := &s.Fields[i]
		if !f.Added && f.HasType("gadget_timestamp") && (name == "" || f.Name == name+"_raw" || f.Ann.Target != "" && f.Ann.Target == name) {
			return f.Name
		}
	}
	return name
}

// Head appends the header of the first section.
func (e *Encoder) Head(dst []byte) []byte { return appendSection(dst) }

// Lost counts packets that were lost before the next packet, which will say so. It may be called while other methods run.
func (e *Encoder) Lost(n uint64) { e.lost.Add(n) }

// Taken says whether the output has taken what Append has appended since the last call, or it was thrown away. In that case interfaces
// are described again, in a new section, and losses are told again.
func (e *Encoder) Taken(ok bool) {
	if !ok {
		e.restart = true
		e.lost.Add(e.told)
	}
	e.told = 0
}

// Append appends the packets of b. It keeps nothing of b.
func (e *Encoder) Append(dst []byte, b *event.Batch) []byte {
	for row := range b.Rows {
		dst = e.appendPacket(dst, b, row)
	}
	return dst
}

func (e *Encoder) appendPacket(dst []byte, b *event.Batch, row int) []byte {
	payload := e.payload.Bytes(b, row)
	if e.hasCaptured {
		n, _ := e.captured.Uint(b, row)
		payload = payload[:min(n, uint64(len(payload)))]
	}
	payload = payload[:min(len(payload), maxPacket)]
	length := uint64(len(payload))
	if e.hasLength {
		n, _ := e.length.Uint(b, row)
		length = max(n, length)
	}
	dev := e.deviceOf(b, row)
	dst, number := e.numberOf(dst, &dev)
	at, _ := e.time.Uint(b, row)

	dst, start := beginBlock(dst, packetBlock)
	dst = binary.LittleEndian.AppendUint32(dst, number)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(at>>32))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(at))
	lengths := len(dst)
	dst = append(dst, make([]byte, 8)...)
	data := len(dst)
	dst = e.appendData(dst, payload, dev.link, b, row)
	captured := len(dst) - data
	binary.LittleEndian.PutUint32(dst[lengths:], uint32(captured))
	binary.LittleEndian.PutUint32(dst[lengths+4:], uint32(min(length+uint64(captured-len(payload)), maxLength)))
	dst = pad(dst, captured)
	return endBlock(e.appendOptions(dst, b, row), start)
}

// maxLength is the largest original length that readers take for a number without a sign and that leaves room for a VLAN tag.
const maxLength = 1<<31 - 1

// deviceOf returns the interface of a packet.
func (e *Encoder) deviceOf(b *event.Batch, row int) device {
	d := device{link: linkEthernet}
	if e.hasIndex {
		d.index, _ = e.index.Uint(b, row)
	}
	if e.hasLink {
		hardware, _ := e.link.Uint(b, row)
		d.link = linkOf(hardware)
	}
	if e.hasName {
		copy(d.name[:], e.name.Bytes(b, row))
	}
	return d
}

// numberOf returns the number of an interface within the section. It first appends the description if the interface is new.
func (e *Encoder) numberOf(dst []byte, d *device) ([]byte, uint32) {
	if !e.restart && len(e.interfaces) > 0 && *d == e.last {
		return dst, e.lastNumber
	}
	if e.restart || len(e.interfaces) >= maxInterfaces {
		dst = appendSection(dst)
		clear(e.interfaces)
		e.restart = false
	}
	number, ok := e.interfaces[*d]
	if !ok {
		number = uint32(len(e.interfaces))
		e.interfaces[*d] = number
		e.scratch = d.appendName(e.scratch[:0])
		dst = appendInterface(dst, d.link, e.scratch)
	}
	e.last, e.lastNumber = *d, number
	return dst, number
}

// appendName appends the name of an interface. An event without a name has the interface's index at least.
func (d *device) appendName(dst []byte) []byte {
	name := event.CString(d.name[:])
	if len(name) == 0 {
		return strconv.AppendUint(append(dst, "ifindex "...), d.index, 10)
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}

// The lengths of an Ethernet header's addresses and of a VLAN tag, which comes after them.
const (
	addresses = 12
	tagLength = 4
)

// appendData appends a packet's bytes. The kernel keeps the outer VLAN tag of a packet apart from its bytes; it goes back to its place.
func (e *Encoder) appendData(dst, payload []byte, link uint16, b *event.Batch, row int) []byte {
	if e.hasVLAN && link == linkEthernet && len(payload) >= addresses && len(payload) <= maxPacket-tagLength {
		if tag, _ := e.vlan.Uint(b, row); tag != 0 {
			dst = append(dst, payload[:addresses]...)
			dst = binary.BigEndian.AppendUint32(dst, uint32(tag))
			payload = payload[addresses:]
		}
	}
	return append(dst, payload...)
}

// appendOptions appends the options of a packet's block.
func (e *Encoder) appendOptions(dst []byte, b *event.Batch, row int) []byte {
	before := len(dst)
	if e.hasType {
		kind, _ := e.packetType.Uint(b, row)
		var flags [4]byte
		binary.LittleEndian.PutUint32(flags[:], flagsOf(kind))
		dst = appendOption(dst, optPacketFlags, flags[:])
	}
	if n := e.lost.Swap(0); n > 0 {
		e.told += n
		var count [8]byte
		binary.LittleEndian.PutUint64(count[:], n)
		dst = appendOption(dst, optPacketsLost, count[:])
	}
	option := len(dst)
	dst = append(dst, optComment, 0, 0, 0)
	dst = e.appendComment(dst, b, row)
	if n := len(dst) - option - 4; n > 0 {
		binary.LittleEndian.PutUint16(dst[option+2:], uint16(n))
		dst = pad(dst, n)
	} else {
		dst = dst[:option]
	}
	if len(dst) == before {
		return dst
	}
	return endOptions(dst)
}

// flagsOf returns the flags of a packet for its type as the kernel has it (PACKET_): the direction in the lowest two bits, and the kind
// of address in the next three.
func flagsOf(packetType uint64) uint32 {
	const in, out = 1, 2
	const unicast, multicast, broadcast, promiscuous = 1 << 2, 2 << 2, 3 << 2, 4 << 2
	flags := []uint32{in | unicast, in | broadcast, in | multicast, in | promiscuous, out}
	if packetType < uint64(len(flags)) {
		return flags[packetType]
	}
	return 0
}

// Reads returns the fields of s that an encoder reads besides the comment.
func Reads(s *event.Schema, p *annotation.Packets) event.FieldSet {
	var set event.FieldSet
	if p == nil {
		return set
	}
	list := []string{
		p.Payload, timeField(s, p.Timestamp), p.Interface, p.CaptureLength, p.PacketLength, p.PacketType, p.LinkType, p.InterfaceName, p.VLAN,
	}
	for _, name := range list {
		if i, ok := s.Lookup(name); ok { // no field has an empty name
			set.Add(i)
		}
	}
	return set
}
