// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// packet is what a gadget has reported: struct event of testdata/packet.h.
type packet struct {
	time         uint64
	netns        uint32
	hook         hook
	outgoing     bool
	version      uint8
	proto        uint8
	lport, rport uint16
	size         uint16
	flags        uint8
	ambiguous    bool
	payload      [2]uint32
	pid, ppid    uint32
	comm         string
	laddr        netip.Addr
	cwd, exepath string
}

// hook is the program that saw a packet.
type hook uint8

const (
	tap hook = iota
	queued
	received
)

const packetSize = 584

// decode returns the packet of a record.
func decode(row []byte) packet {
	u16 := func(at int) uint16 { return binary.NativeEndian.Uint16(row[at:]) }
	u32 := func(at int) uint32 { return binary.NativeEndian.Uint32(row[at:]) }
	p := packet{
		time: binary.NativeEndian.Uint64(row), netns: u32(8), hook: hook(row[12]), outgoing: row[13] != 0, version: row[14], proto: row[15],
		lport: u16(16), rport: u16(18), size: u16(20), flags: row[22], ambiguous: row[23] != 0, payload: [2]uint32{u32(24), u32(28)},
		pid: u32(32), ppid: u32(36), comm: unix.ByteSliceToString(row[40:56]),
		cwd: unix.ByteSliceToString(row[72:328]), exepath: unix.ByteSliceToString(row[328:584]),
	}
	if p.version == 4 {
		p.laddr = netip.AddrFrom4([4]byte(row[56:60]))
	} else {
		p.laddr = netip.AddrFrom16([16]byte(row[56:72]))
	}
	return p
}

// The flags of TCP.
const (
	flagSYN = 2
	flagACK = 16
)

func (p *packet) isFirst() bool {
	return p.proto == unix.IPPROTO_TCP && p.flags&(flagSYN|flagACK) == flagSYN
}

// sender returns the pid in the payload; 0 if there is none. Programs for sockets do not see the payload of TCP.
func (p *packet) sender() uint32 {
	if p.size < 8 || p.payload[0] != magic || p.hook != tap && p.proto == unix.IPPROTO_TCP {
		return 0
	}
	return p.payload[1]
}

// class is the kind of packet, as a row of the table shows it.
func (p *packet) class() string {
	text := []string{"tap ", "queue ", "probe "}[p.hook] + map[bool]string{true: "out ", false: "in "}[p.outgoing]
	switch {
	case p.proto == unix.IPPROTO_UDP:
		return text + "UDP"
	case p.isFirst():
		return text + "SYN"
	case p.flags&flagSYN != 0:
		return text + "SYN-ACK"
	case p.size > 0:
		return text + "data"
	}
	return text + "control"
}

func (p *packet) String() string {
	return fmt.Sprintf("%s, %s port %d, peer's port %d, %d bytes, flags %#x", p.class(), p.laddr, p.lport, p.rport, p.size, p.flags)
}

// ---- Who should be the owner ----

// claimed says who owns a socket from a time on, and which packets are its own.
type claimed struct {
	socket *kind
	key    kind // a copy
	from   uint64
	owners []*process // one of these; none: nothing owns it
}

// own notes the owners of a socket from now on. While the test does not know when exactly the owner changes, there are several.
func (s *scenario) own(k *kind, owners ...*process) { s.ownFrom(now(s.t), k, owners...) }

func (s *scenario) ownFrom(from uint64, k *kind, owners ...*process) {
	s.claims = append(s.claims, claimed{k, *k, from, slices.Clone(owners)})
}

// owners returns the owners of a socket now.
func (s *scenario) owners(k *kind) []*process {
	for _, c := range slices.Backward(s.claims) {
		if c.socket == k {
			return slices.Clone(c.owners)
		}
	}
	return nil
}

// matches returns how exactly a claim says which packets are its own; 0 if a packet is not.
func (c *claimed) matches(p *packet) int {
	k := &c.key
	switch {
	case k.proto != p.proto || k.lport != int(p.lport), k.rport != 0 && k.rport != int(p.rport), k.laddr.IsValid() && k.laddr.Unmap() != p.laddr.Unmap():
		return 0
	case k.rport != 0 && !k.listening && k.began == 0 && k.proto == unix.IPPROTO_TCP && p.isFirst():
		return 0 // an accepted connection: the first packet is the listener's
	case k.rport != 0:
		return 3
	case k.laddr.IsValid():
		return 2
	}
	return 1
}

// claimants returns the claims on a packet: one, unless several sockets may get it.
func (s *scenario) claimants(p *packet) []*claimed {
	latest := make(map[*kind]*claimed)
	for i := range s.claims {
		c := &s.claims[i]
		if before := latest[c.socket]; c.from <= p.time && (before == nil || c.from >= before.from) {
			latest[c.socket] = c
		}
	}
	var open, gone []*claimed
	for _, c := range latest {
		switch {
		case c.matches(p) == 0:
		case c.socket.gone == 0 || c.socket.gone > p.time:
			open = append(open, c)
		default:
			gone = append(gone, c)
		}
	}
	// A connection that was closed still gets packets. A datagram is never for a socket that was closed, if there is another.
	if isConnected := p.proto == unix.IPPROTO_TCP && exactness(gone, p) > exactness(open, p); len(gone) == 0 || len(open) > 0 && !isConnected {
		return slices.DeleteFunc(open, func(c *claimed) bool { return c.matches(p) < exactness(open, p) })
	}
	return []*claimed{slices.MaxFunc(gone, func(a, b *claimed) int {
		return cmp.Or(cmp.Compare(a.matches(p), b.matches(p)), cmp.Compare(a.socket.gone, b.socket.gone))
	})}
}

func exactness(claims []*claimed, p *packet) int {
	most := 0
	for _, c := range claims {
		most = max(most, c.matches(p))
	}
	return most
}

// verdict is what became of a packet.
type verdict int

const (
	right verdict = iota
	unowned
	wrong
)

// judge compares the owner of a packet with what is true. It explains what is wrong.
func (s *scenario) judge(p *packet) (verdict, string) {
	claims := s.claimants(p)
	if len(claims) == 0 {
		return wrong, "the test does not know the socket"
	}
	var owners []*process
	for _, c := range claims {
		owners = append(owners, c.owners...)
	}
	several := len(claims) > 1 && differ(owners)
	if sender := p.sender(); p.outgoing && sender != 0 {
		owners = slices.DeleteFunc(owners, func(o *process) bool { return uint32(o.pid) != sender })
		if len(owners) == 0 {
			return wrong, fmt.Sprintf("process %d has sent it, which should not have the socket", sender)
		}
		several = false
	}
	at := slices.IndexFunc(owners, func(o *process) bool { return uint32(o.pid) == p.pid })
	switch {
	case p.pid == 0 && len(owners) == 0:
		return right, ""
	case p.pid == 0:
		return unowned, fmt.Sprintf("no owner, want %v", owners)
	case at < 0:
		return wrong, fmt.Sprintf("owner %s (%d), want %v", p.comm, p.pid, owners)
	case several != p.ambiguous:
		return wrong, fmt.Sprintf("owner %s (%d), marked as ambiguous: %v, and it may be one of %v", p.comm, p.pid, p.ambiguous, owners)
	case !owners[at].hasName(p):
		return wrong, fmt.Sprintf("the owner's name is %q, want %v", p.comm, owners[at].names)
	}
	return right, ""
}

func differ(owners []*process) bool {
	return slices.ContainsFunc(owners, func(o *process) bool { return o != owners[0] })
}

// hasName reports whether the owner of a packet has the name of the program that used the socket last: of the one that runs if the
// process sends.
func (p *process) hasName(of *packet) bool {
	var had []string
	for _, n := range p.names {
		if n.from <= of.time {
			had = append(had, n.name)
		}
	}
	if of.outgoing && of.sender() != 0 {
		had = had[len(had)-1:]
	}
	return slices.Contains(had, of.comm)
}

// ---- The table ----

// row counts the packets of a class.
type row struct {
	class                 string
	right, unowned, wrong int
}

// check judges the packets of the scenario. It returns the rows of its table.
func (s *scenario) check(packets []packet) []row {
	s.t.Helper()
	var rows []row
	shown, sent := 0, 0
	for i := range packets {
		p := &packets[i]
		if p.hook == tap && p.outgoing && p.sender() != 0 {
			sent++
		}
		at := slices.IndexFunc(rows, func(r row) bool { return r.class == p.class() })
		if at < 0 {
			at, rows = len(rows), append(rows, row{class: p.class()})
		}
		result, why := s.judge(p)
		switch result {
		case right:
			rows[at].right++
			continue
		case unowned:
			rows[at].unowned++
			if s.mayLack != nil && s.mayLack(p) {
				continue
			}
		case wrong:
			rows[at].wrong++
		}
		if shown++; shown <= 5 {
			s.t.Errorf("%v: %s", p, why)
		}
	}
	if shown > 5 {
		s.t.Errorf("and %d packets more", shown-5)
	}
	if sent != s.sent {
		s.t.Errorf("the tap has shown %d payloads, and the processes have sent %d", sent, s.sent)
	}
	return rows
}

func table(name string, rows []row) string {
	var text strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&text, "\n%-14s %-20s %4d right %4d none %4d wrong", name, r.class, r.right, r.unowned, r.wrong)
	}
	return text.String()
}

func TestDecodePacket(t *testing.T) {
	t.Parallel()
	row := bytes.Repeat([]byte{0}, packetSize)
	binary.NativeEndian.PutUint64(row, 7)
	row[14], row[15] = 4, unix.IPPROTO_TCP
	copy(row[40:], "name")
	copy(row[56:], []byte{127, 0, 0, 2})
	copy(row[72:], "/cwd")
	copy(row[328:], "/exe")
	p := decode(row)
	if p.time != 7 || p.comm != "name" || p.laddr.String() != "127.0.0.2" || p.cwd != "/cwd" || p.exepath != "/exe" {
		t.Errorf("%+v", p)
	}
}
