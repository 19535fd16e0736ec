// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation

// Packets names the fields of a data source whose events are packets, for output as pcap-ng. An empty name means that there is no such
// field.
type Packets struct {
	// Payload has the bytes of a packet, from its first header.
	Payload string
	// Timestamp is the time of a packet: a gadget_timestamp, or the text that it adds. Empty: the first gadget_timestamp.
	Timestamp string
	// Interface is the index of the network interface, InterfaceName its name.
	Interface, InterfaceName string
	// CaptureLength is how many bytes of Payload are the packet's; PacketLength is how many the packet had.
	CaptureLength, PacketLength string
	// PacketType is the direction and the kind of address, as the kernel numbers them (PACKET_).
	PacketType string
	// LinkType is the hardware type of the interface (ARPHRD_), which says what header a packet begins with. Empty: Ethernet.
	LinkType string
	// VLAN is the tag that the kernel keeps apart from the bytes: the protocol in the upper 16 bits, then the tag; 0: none.
	VLAN string
}

// The annotations of data sources whose events are packets.
const (
	PayloadKey       = "cli.pcap-ng.payload"
	TimestampKey     = "cli.pcap-ng.timestamp"
	InterfaceKey     = "cli.pcap-ng.interface"
	InterfaceNameKey = "cli.pcap-ng.interface-name"
	CaptureLengthKey = "cli.pcap-ng.capture-length"
	PacketLengthKey  = "cli.pcap-ng.packet-length"
	PacketTypeKey    = "cli.pcap-ng.packet-type"
	LinkTypeKey      = "cli.pcap-ng.link-type"
	VLANKey          = "cli.pcap-ng.vlan"
)

// packetKeys are the rows of Packets.
func packetKeys() []Key[Source] {
	return []Key[Source]{
		textKey(Name, PayloadKey, "Names the field with the bytes of a packet, which makes the output mode pcap-ng possible.",
			func(s *Source) *string { return &s.Packets.Payload }),
		textKey(Name, TimestampKey, "Names the field with the packet's time. Default: the first `gadget_timestamp`.",
			func(s *Source) *string { return &s.Packets.Timestamp }),
		textKey(Name, InterfaceKey, "Names the field with the index of the network interface.",
			func(s *Source) *string { return &s.Packets.Interface }),
		textKey(Name, InterfaceNameKey, "Names the field with the name of the network interface.",
			func(s *Source) *string { return &s.Packets.InterfaceName }),
		textKey(Name, CaptureLengthKey, "Names the field that says how many bytes of the payload are the packet's. Default: all.",
			func(s *Source) *string { return &s.Packets.CaptureLength }),
		textKey(Name, PacketLengthKey, "Names the field with the length of the whole packet. Default: the length of the payload.",
			func(s *Source) *string { return &s.Packets.PacketLength }),
		textKey(Name, PacketTypeKey, "Names the field with the packet's direction: 0 to this host, 1 broadcast, 2 multicast, 3 to another host, 4 outgoing.",
			func(s *Source) *string { return &s.Packets.PacketType }),
		textKey(Name, LinkTypeKey, "Names the field with the interface's hardware type (`ARPHRD_`), by which a packet's first header is known. Default: Ethernet.",
			func(s *Source) *string { return &s.Packets.LinkType }),
		textKey(Name, VLANKey, "Names the field with the VLAN tag that the payload lacks: the protocol times 65536, plus the tag; 0 for none.",
			func(s *Source) *string { return &s.Packets.VLAN }),
	}
}
