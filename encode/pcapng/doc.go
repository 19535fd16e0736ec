// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package pcapng writes the packets of a data source as pcap-ng, the format that Wireshark, tshark and tcpdump read.
//
// The output is a section, whose header [Encoder.Head] appends, and then, for each packet, an enhanced packet block. An interface
// description block comes before the first packet of each interface. Times have a resolution of a nanosecond. A packet that was cut
// has its original length. What else an event says about its packet is its comment: the process and the container.
//
// The annotations of the data source name the fields; see [annotation.Packets]. The interface's name and kind come from the event
// and not from the machine that writes it, so that a recording gives the same output on any machine.
package pcapng
