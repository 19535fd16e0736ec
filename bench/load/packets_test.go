// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/pcapexpr"
)

// TestPacketTo: the expression that the programs are given lets the packet of TCP pass and not that of UDP.
func TestPacketTo(t *testing.T) {
	filter, err := pcapexpr.Compile("tcp port 9")
	if err != nil {
		t.Fatal(err)
	}
	vm, err := bpf.NewVM(filter)
	if err != nil {
		t.Fatal(err)
	}
	for proto, want := range map[byte]bool{unix.IPPROTO_UDP: false, unix.IPPROTO_TCP: true} {
		packet := packetTo(proto)
		if n, err := vm.Run(packet); err != nil || n > 0 != want {
			t.Errorf("protocol %d: passes with %d bytes, %v; want it to pass: %v", proto, n, err, want)
		}
		if sum := checksum(packet[14:34]); sum != 0 {
			t.Errorf("protocol %d: the checksum is wrong by %#x", proto, sum)
		}
	}
}

func TestSendPacketsOfUnknownKind(t *testing.T) {
	if err := sendPackets("lo", nil, strings.NewReader("icmp 1\n"), io.Discard); err == nil || !strings.Contains(err.Error(), "icmp") {
		t.Errorf("got %v, want an error that names icmp", err)
	}
}
