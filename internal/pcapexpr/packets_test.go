// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"

	"golang.org/x/net/bpf"
)

// packets returns packets that exercise a program: random ones of all protocols, of which most are changed so that tests along their
// way succeed, and every
// fourth is cut short.
func packets(rng *rand.Rand, n int, programs ...[]bpf.Instruction) [][]byte {
	var all [][]byte
	for i := range n {
		p := randomPacket(rng)
		for range rng.IntN(3) {
			p = steer(rng, programs[i%len(programs)], p)
		}
		if i%4 == 0 {
			p = p[:rng.IntN(len(p)+1)]
		}
		all = append(all, p)
	}
	return all
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

func randomPacket(rng *rand.Rand) []byte {
	p := make([]byte, 0, 256)
	mac := func() {
		p = append(p, pick(rng, "\x02\x00\x00\x00\x00\x01", "\x02\x00\x00\x00\x00\x02", "\xff\xff\xff\xff\xff\xff", "\x01\x00\x5e\x00\x00\x01")...)
	}
	mac()
	mac()
	for rng.IntN(4) == 0 {
		p = append(p, pick(rng, "\x81\x00", "\x88\xa8", "\x91\x00")...)
		p = binary.BigEndian.AppendUint16(p, pick[uint16](rng, 100, 200, 0x2064, 7))
	}
	inner := pick(rng, "ip", "ip", "ip", "ip6", "ip6", "arp", "rarp", "llc", "other")
	switch types := map[string]uint16{"ip": 0x800, "ip6": 0x86dd, "arp": 0x806, "rarp": 0x8035}; {
	case inner == "llc":
		p = binary.BigEndian.AppendUint16(p, uint16(rng.IntN(1502)))
		p = append(p, pick(rng, "\xfe\xfe\x03\x81", "\xfe\xfe\x03\x82", "\xfe\xfe\x03\x83", "\x42\x42\x03", "\xf0\xf0", "\xe0\xe0", "\xff\xff", "\xaa\xaa\x03\x00\x00\x00\x81\x37", "\xaa\xaa\x03\x08\x00\x07\x80\x9b", "\xaa\xaa\x03\x00\x00\x00\x80\xf3")...)
	case inner == "other":
		p = binary.BigEndian.AppendUint16(p, pick[uint16](rng, 0x8863, 0x8137, 0x809b, 0x80f3, 0x6001, 0x6002, 0x6003, 0x6004, 0x6007, 0x88cc))
	case rng.IntN(6) == 0:
		p = append(p, "\x88\x47"...)
		for range rng.IntN(2) {
			p = binary.BigEndian.AppendUint32(p, pick[uint32](rng, 1000, 1024, 2000)<<12|uint32(rng.IntN(256)))
		}
		p = binary.BigEndian.AppendUint32(p, pick[uint32](rng, 1000, 1024, 2000)<<12|0x100)
	case rng.IntN(6) == 0:
		p = append(p, "\x88\x64\x11\x00\x00"...)
		p = append(p, byte(rng.IntN(8)), 0, 60)
		p = append(p, map[string]string{"ip": "\x00\x21", "ip6": "\x00\x57"}[inner]...)
	default:
		p = binary.BigEndian.AppendUint16(p, types[inner])
	}
	return appendInner(rng, p, inner)
}

func appendInner(rng *rand.Rand, p []byte, inner string) []byte {
	at := len(p)
	rest := make([]byte, rng.IntN(pick(rng, 40, 120, 1200))+60)
	for i := range rest {
		rest[i] = byte(rng.Uint32() >> (8 * rng.IntN(4)))
	}
	p = append(p, rest...)
	body := p[at:]
	address := func(off int) {
		copy(body[off:], pick(rng, "\x0a\x00\x00\x01", "\x0a\x00\x00\x02", "\x0a\x00\x00\x03", "\xc0\xa8\x01\x09", "\x0a\x01\x02\x80", "\xac\x10\x05\x05", "\xe0\x00\x00\x01"))
	}
	address6 := func(off int) {
		copy(body[off:], pick(rng, "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", "\x20\x01\x0d\xb8\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01", "\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", "\xff\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"))
	}
	protocol := pick[byte](rng, 1, 2, 6, 6, 6, 17, 17, 58, 132, 50, 51, 103, 112, 9)
	transport := 0
	switch inner {
	case "ip":
		body[0] = 0x45
		if rng.IntN(4) == 0 {
			body[0] = 0x40 | byte(rng.IntN(16))
		}
		binary.BigEndian.PutUint16(body[2:], uint16(len(body)))
		binary.BigEndian.PutUint16(body[6:], pick[uint16](rng, 0, 0, 0, 0x4000, 0x2000, 0x2005))
		body[9] = protocol
		address(12)
		address(16)
		transport = int(body[0]&0xf) * 4
	case "ip6":
		body[0] = 0x60
		body[6] = pick(rng, protocol, protocol, 44)
		address6(8)
		address6(24)
		transport = 40
		body[40] = protocol
	case "arp", "rarp":
		copy(body, "\x00\x01\x08\x00\x06\x04\x00")
		body[7] = byte(rng.IntN(4))
		address(14)
		address(24)
	}
	if transport > 0 && transport+14 <= len(body) {
		binary.BigEndian.PutUint16(body[transport:], pick[uint16](rng, 80, 443, 53, 22, 20, 21, 1024, 33440, 6001, 67, 8, 128))
		binary.BigEndian.PutUint16(body[transport+2:], pick[uint16](rng, 80, 443, 53, 22, 123, 161, 23, 40000, 3868))
		body[transport+13] = byte(1 << rng.IntN(8))
	}
	return p
}

// machineState is that of an interpreter that knows where the value in A comes from.
type machineState struct {
	a, x     uint32
	scratch  [16]uint32
	stored   [16]struct{ at, size int }
	at, size int // of the load that A comes from; size 0: it comes from elsewhere
	mask     uint32
	flip     uint32
}

// steer follows a program, and sometimes writes a value into the packet with which the next test succeeds. It returns the packet, which
// may be shorter or longer then.
func steer(rng *rand.Rand, program []bpf.Instruction, p []byte) []byte {
	var m machineState
	for i := 0; i < len(program); i++ {
		switch ins := program[i].(type) {
		case bpf.JumpIf:
			p = m.aim(rng, p, ins.Cond, ins.Val)
			if holdsAny(ins.Cond, m.a, ins.Val) {
				i += int(ins.SkipTrue)
			} else {
				i += int(ins.SkipFalse)
			}
		case bpf.JumpIfX:
			p = m.aim(rng, p, ins.Cond, m.x)
			if holdsAny(ins.Cond, m.a, m.x) {
				i += int(ins.SkipTrue)
			} else {
				i += int(ins.SkipFalse)
			}
		case bpf.Jump:
			i += int(ins.Skip)
		case bpf.RetA, bpf.RetConstant:
			return p
		default:
			m.step(ins, p)
		}
	}
	return p
}

const fromLength = -1 // the place of a value that is the length of the packet

// aim changes the packet, half of the time, so that the test succeeds or just fails.
func (m *machineState) aim(rng *rand.Rand, p []byte, cond bpf.JumpTest, with uint32) []byte {
	if m.size == 0 || rng.IntN(2) == 0 {
		return p
	}
	wanted := m.a&^m.mask | (with^m.flip)&m.mask
	if cond != bpf.JumpEqual && cond != bpf.JumpNotEqual {
		wanted += uint32(rng.IntN(3)) - 1
	}
	if m.at == fromLength {
		if wanted > 2000 {
			return p
		}
		p = append(p, make([]byte, 2000)...)[:wanted]
		m.a = wanted
		return p
	}
	write(p, m.at, m.size, wanted)
	m.a = (read(p, m.at, m.size) ^ m.flip) & m.mask
	return p
}

func (m *machineState) step(ins bpf.Instruction, p []byte) {
	load := func(at, size int) {
		m.at, m.size, m.mask, m.flip = at, size, 1<<32-1, 0
		m.a = read(p, at, size)
	}
	switch ins := ins.(type) {
	case bpf.LoadAbsolute:
		load(int(ins.Off), ins.Size)
	case bpf.LoadIndirect:
		load(int(ins.Off)+int(m.x), ins.Size)
	case bpf.LoadExtension:
		load(0, 0)
		if ins.Num == bpf.ExtLen {
			m.a, m.at, m.size = uint32(len(p)), fromLength, 4
		}
	case bpf.LoadMemShift:
		m.x = read(p, int(ins.Off), 1) & 0xf * 4
	case bpf.LoadConstant:
		if ins.Dst == bpf.RegX {
			m.x = ins.Val
		} else {
			m.a, m.size = ins.Val, 0
		}
	case bpf.LoadScratch:
		if ins.Dst == bpf.RegX {
			m.x = m.scratch[ins.N]
		} else {
			m.at, m.size, m.mask, m.flip = m.stored[ins.N].at, m.stored[ins.N].size, 1<<32-1, 0
			m.a = m.scratch[ins.N]
		}
	case bpf.StoreScratch:
		m.scratch[ins.N] = m.a
		m.stored[ins.N].at, m.stored[ins.N].size = m.at, m.size
		if ins.Src == bpf.RegX {
			m.scratch[ins.N], m.stored[ins.N].size = m.x, 0
		}
	case bpf.TAX:
		m.x = m.a
	case bpf.TXA:
		m.a, m.size = m.x, 0
	case bpf.ALUOpConstant:
		switch m.calculate(ins.Op, ins.Val); ins.Op {
		case bpf.ALUOpAnd:
			m.mask &= ins.Val
		case bpf.ALUOpXor:
			m.flip ^= ins.Val
		case bpf.ALUOpOr:
		default:
			m.size = 0
		}
	case bpf.ALUOpX:
		m.calculate(ins.Op, m.x)
		m.size = 0
	}
}

func (m *machineState) calculate(op bpf.ALUOp, v uint32) {
	for text := range strings.FieldsSeq("| & ^ << >> + - * / %") {
		if aluOp(text) == op && (v > 0 || text != "/" && text != "%") {
			m.a = fold(text, m.a, v)
			return
		}
	}
}

func holdsAny(cond bpf.JumpTest, a, b uint32) bool {
	switch cond {
	case bpf.JumpNotEqual:
		return a != b
	case bpf.JumpLessThan:
		return a < b
	case bpf.JumpLessOrEqual:
		return a <= b
	case bpf.JumpBitsNotSet:
		return a&b == 0
	}
	return holds(cond, a, b)
}

func read(p []byte, off, size int) (v uint32) {
	for i := range size {
		if off+i < len(p) {
			v = v<<8 | uint32(p[off+i])
		}
	}
	return v
}

func write(p []byte, off, size int, v uint32) {
	for i := range size {
		if off+i < len(p) {
			p[off+i] = byte(v >> (8 * (size - 1 - i)))
		}
	}
}
