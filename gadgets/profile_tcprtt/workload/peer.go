// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// peers are the other ends of connections. They are where an interface leads to.
type peers struct {
	tun  int
	lock sync.Mutex
	all  map[ends]*peer
}

// ends are the two ends of a connection, this one without its address.
type ends struct {
	remote netip.AddrPort
	local  uint16
}

// peer is the other end of one connection.
type peer struct {
	*peers
	ends
	after time.Duration
	// Known when the first packet has come.
	to  netip.AddrPort
	ack uint32
}

// newPeers makes the interface, in the network namespace of the calling thread.
func newPeers() *peers {
	p := &peers{all: make(map[ends]*peer)}
	p.tun = workload.Must(workload.OpenTun())
	req := workload.Must(unix.NewIfreq("tcprtt"))
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	workload.Check("make an interface", unix.IoctlIfreq(p.tun, unix.TUNSETIFF, req))
	link := workload.Must(netlink.LinkByName(req.Name()))
	for _, address := range []string{"192.0.2.1/24", "2001:db8::1/64"} {
		a := workload.Must(netlink.ParseAddr(address))
		a.Flags = unix.IFA_F_NODAD
		workload.Check("set an address", netlink.AddrAdd(link, a))
	}
	workload.Check("start the interface", netlink.LinkSetUp(link))
	go p.receive()
	return p
}

// add makes the other end of a connection, which answers after a time.
func (p *peers) add(remote netip.AddrPort, local uint16, after time.Duration) *peer {
	c := &peer{peers: p, ends: ends{remote, local}, after: after}
	p.lock.Lock()
	defer p.lock.Unlock()
	p.all[c.ends] = c
	return c
}

// Bytes and bits of a header of TCP.
const (
	flagSYN, flagPSH, flagACK = 2, 8, 16

	headerIPv4, headerIPv6, headerTCP = 20, 40, 20
)

func (p *peers) receive() {
	packet := make([]byte, 2000)
	for {
		n, err := unix.Read(p.tun, packet)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return
		}
		p.take(packet[:n])
	}
}

// take answers the first packet of a connection, and ignores others.
func (p *peers) take(packet []byte) {
	var from, to netip.Addr
	var tcp []byte
	switch {
	case packet[0] == 4<<4|headerIPv4/4 && packet[9] == unix.IPPROTO_TCP:
		from, to, tcp = netip.AddrFrom4([4]byte(packet[12:])), netip.AddrFrom4([4]byte(packet[16:])), packet[headerIPv4:]
	case packet[0]>>4 == 6 && packet[6] == unix.IPPROTO_TCP:
		from, to, tcp = netip.AddrFrom16([16]byte(packet[8:])), netip.AddrFrom16([16]byte(packet[24:])), packet[headerIPv6:]
	default:
		return
	}
	port := binary.BigEndian.Uint16(tcp)
	p.lock.Lock()
	c := p.all[ends{netip.AddrPortFrom(to, binary.BigEndian.Uint16(tcp[2:])), port}]
	p.lock.Unlock()
	if c == nil || tcp[13] != flagSYN {
		return
	}
	ack := binary.BigEndian.Uint32(tcp[4:]) + 1
	time.AfterFunc(c.after, func() {
		c.to, c.ack = netip.AddrPortFrom(from, port), ack
		c.write(flagSYN|flagACK, 0, nil)
	})
}

// send sends packets of one byte. Each has been received when the next is sent.
func (p *peer) send(packets int) {
	for i := range packets {
		p.write(flagPSH|flagACK, uint32(i)+1, []byte("x"))
	}
}

func (p *peer) write(flags byte, seq uint32, data []byte) {
	tcp := binary.BigEndian.AppendUint16(nil, p.remote.Port())
	tcp = binary.BigEndian.AppendUint16(tcp, p.to.Port())
	tcp = binary.BigEndian.AppendUint32(tcp, seq)
	tcp = binary.BigEndian.AppendUint32(tcp, p.ack)
	tcp = append(tcp, headerTCP/4<<4, flags, 0xff, 0xff, 0, 0, 0, 0) // the window; the checksum, which comes last
	tcp = append(tcp, data...)
	from, to := p.remote.Addr().AsSlice(), p.to.Addr().AsSlice()
	pseudo := append(append(append([]byte{}, from...), to...), 0, unix.IPPROTO_TCP, 0, byte(len(tcp)))
	binary.BigEndian.PutUint16(tcp[16:], checksum(append(pseudo, tcp...)))
	workload.Must(unix.Write(p.tun, append(header(from, to, len(tcp)), tcp...)))
}

// header returns the header of IP for so many bytes of TCP.
func header(from, to []byte, n int) []byte {
	if len(from) == net.IPv6len {
		h := []byte{6 << 4, 0, 0, 0, 0, byte(n), unix.IPPROTO_TCP, 64}
		return append(append(h, from...), to...)
	}
	h := []byte{4<<4 | headerIPv4/4, 0, 0, byte(headerIPv4 + n), 0, 0, 0, 0, 64, unix.IPPROTO_TCP, 0, 0}
	h = append(append(h, from...), to...)
	binary.BigEndian.PutUint16(h[10:], checksum(h))
	return h
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i, c := range b {
		sum += uint32(c) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
