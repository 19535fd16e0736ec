// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	packetSize   = 60  // the shortest that Ethernet has
	packetSample = 500 // takes less time than others are let wait for the CPU
)

// packetTo returns a packet to port 9 of an address for documentation. It is for another host also by the address of
// its Ethernet header: who receives it shows it to programs that capture packets, and drops it.
func packetTo(proto byte) []byte {
	p := make([]byte, packetSize)
	copy(p, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00") // to, from, IPv4
	ip := p[14:]
	copy(ip, "\x45\x00\x00\x2e\x00\x00\x40\x00\x40\x00\x00\x00\xc0\x00\x02\x01\xc0\x00\x02\x02")
	ip[9] = proto
	binary.BigEndian.PutUint16(ip[10:], checksum(ip[:20]))
	binary.BigEndian.PutUint16(ip[20:], 1234)
	binary.BigEndian.PutUint16(ip[22:], 9)
	if proto == unix.IPPROTO_UDP {
		binary.BigEndian.PutUint16(ip[24:], 26) // the length; without a checksum
	} else {
		ip[32], ip[33] = 0x50, 0x02 // a header of 20 bytes; SYN
	}
	return p
}

func checksum(header []byte) uint16 {
	sum := uint32(0)
	for i := 0; i < len(header); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// sendPackets obeys the lines of its input until that ends: "udp N" and "tcp N" send so many packets from the
// interface. For each it prints the nanoseconds that a packet took: a fifth of the samples took less.
func sendPackets(name string, cpus []int, input io.Reader, output io.Writer) error {
	if err := pin(cpus, 0); err != nil {
		return err
	}
	s := -1
	defer func() { _ = unix.Close(s) }()
	for {
		var kind string
		var count int
		switch _, err := fmt.Fscanln(input, &kind, &count); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		proto, known := map[string]byte{"udp": unix.IPPROTO_UDP, "tcp": unix.IPPROTO_TCP}[kind]
		if !known {
			return fmt.Errorf("%q: want udp or tcp", kind)
		}
		// The interface is not there before the first line.
		if s < 0 {
			var err error
			if s, err = packetSocket(name); err != nil {
				return err
			}
		}
		took, err := sendMany(s, packetTo(proto), count)
		if err != nil {
			return err
		}
		fmt.Fprintln(output, took)
	}
}

// packetSocket brings the interface up and opens a socket whose packets wait in no queue.
func packetSocket(name string) (int, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return -1, fmt.Errorf("interface %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return -1, fmt.Errorf("bring %s up: %w", name, err)
	}
	s, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open a packet socket: %w", err)
	}
	return s, errors.Join(
		unix.SetsockoptInt(s, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1),
		unix.Bind(s, &unix.SockaddrLinklayer{Ifindex: link.Attrs().Index}))
}

func sendMany(s int, packet []byte, count int) (int64, error) {
	var samples []time.Duration
	for left := count; left > 0; left -= packetSample {
		n := min(left, packetSample)
		start := time.Now()
		for range n {
			if _, err := unix.Write(s, packet); err != nil {
				return 0, fmt.Errorf("send a packet: %w", err)
			}
		}
		samples = append(samples, time.Since(start)/time.Duration(n))
	}
	slices.Sort(samples)
	return samples[len(samples)/5].Nanoseconds(), nil
}
