// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Flags of a segment.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Segment is a packet of TCP over IPv4, from 127.0.0.1 to 127.0.0.1.
type Segment struct {
	From, To int
	Seq, Ack uint32
	Flags    byte
	// Options fill whole words of 4 bytes.
	Options []byte
	Data    string
	// Broken makes the checksum wrong.
	Broken bool
}

// loopback is the address.
var loopback = [4]byte{127, 0, 0, 1}

// bytes returns the header and the data.
func (s Segment) bytes() []byte {
	const header, window = 20, 1024
	b := binary.BigEndian.AppendUint16(nil, uint16(s.From))
	b = binary.BigEndian.AppendUint16(b, uint16(s.To))
	b = binary.BigEndian.AppendUint32(b, s.Seq)
	b = binary.BigEndian.AppendUint32(b, s.Ack)
	b = append(b, byte(header+len(s.Options))/4<<4, s.Flags)
	b = binary.BigEndian.AppendUint16(b, window)
	b = append(b, 0, 0, 0, 0) // checksum, end of urgent data
	b = append(append(b, s.Options...), s.Data...)
	sum := s.checksum(b)
	if s.Broken {
		sum ^= 0x5555
	}
	binary.BigEndian.PutUint16(b[16:], sum)
	return b
}

// checksum returns the checksum of a segment in which there is none yet.
func (s Segment) checksum(b []byte) uint16 {
	all := append(append([]byte{}, loopback[:]...), loopback[:]...)
	all = append(all, 0, unix.IPPROTO_TCP)
	all = binary.BigEndian.AppendUint16(all, uint16(len(b)))
	all = append(append(all, b...), make([]byte, len(b)%2)...)
	var sum uint32
	for ; len(all) > 0; all = all[2:] {
		sum += uint32(binary.BigEndian.Uint16(all))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// Send sends segments that belong to no connection of this machine. Without other work for the processor, they
// have arrived when Send returns.
func Send(segments ...Segment) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, s := range segments {
		if err := unix.Sendto(fd, s.bytes(), 0, &unix.SockaddrInet4{Addr: loopback}); err != nil {
			return fmt.Errorf("send a segment: %w", err)
		}
	}
	return nil
}

// RefusePackets makes a socket take no packet: what is sent to it gets no answer.
func RefusePackets(fd int) error {
	filter := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	prog := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, prog); err != nil {
		return fmt.Errorf("filter the packets of a socket: %w", err)
	}
	return nil
}

// TakePackets is the end of RefusePackets.
func TakePackets(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != nil {
		return fmt.Errorf("filter the packets of a socket no more: %w", err)
	}
	return nil
}
