// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"encoding/binary"
)

// wide is an integer of 128 bits, as the machine has it.
type wide struct{ Low, High uint64 }

// inner mirrors struct conf_inner.
type inner struct {
	A, Gap uint16
	Word   uint32
	Deep   int8
	After  [3]byte
}

// l3 mirrors struct gadget_l3endpoint_t.
type l3 struct {
	Addr    [16]byte
	Version uint8
	_       [3]byte
}

// l4 mirrors struct gadget_l4endpoint_t.
type l4 struct {
	Addr        [16]byte
	Port, Proto uint16
	Version     uint8
	_           [3]byte
}

// creds mirrors struct gadget_creds.
type creds struct{ UID, GID uint32 }

// parent mirrors struct gadget_parent.
type parent struct {
	Comm     [16]byte
	PID, TID uint32
}

// process mirrors struct gadget_process.
type process struct {
	Comm     [16]byte
	PID, TID uint32
	MntnsID  uint64
	Creds    creds
	Parent   parent
}

// record mirrors struct event of gadget/program.bpf.c: the members in their order, with all padding
// spelled out, as encoding/binary needs it. So the test knows the layout from a source other
// than BTF.
type record struct {
	U128, I128 wide
	U64        uint64
	I64        int64
	U32        uint32
	I32        int32
	U16        uint16
	I16        int16
	U8         uint8
	I8         int8
	Yes        uint8
	Letter     byte
	F64        float64
	F32        float32
	Private    uint32
	Ptr        uint64

	U16s  [4]uint16
	I32s  [2]int32
	F64s  [2]float64
	Bytes [6]byte
	Bools [2]uint8
	Text  [24]byte
	I8s   [4]int8
	F32s  [1]float32
	Grid  [2][2]uint32
	U128s [1]wide

	Bits     uint32 // low, minus, across, bit and painted_raw: see pack
	Seq      uint32
	WideBits uint64 // wide and high

	AnonA, AnonB uint32
	In           inner
	Hex          uint32

	Color, Paint uint32
	Level        int32
	Perm, Named  uint32
	Kernel       uint32
	Big          uint64

	Timestamp, When, Bare uint64
	Error                 int32
	Sig                   uint32
	Syscall               int64
	Mode, Flags           uint32
	User, Group           uint32
	Size, Took            uint64
	NetnsID               uint32
	Code                  int32

	Addr     l3
	Src, Dst l4

	PID, TID, PPID, PTID uint32
	Comm, PComm          [16]byte
	Owner                creds
	Maker                parent
	_                    [4]byte
	Proc                 process
	Users                [2]uint32
	RestLen              uint32
	Last                 uint32

	Palette          [2]uint32
	Mixed            [2]uint32
	Stamps           [1]uint64
	Names            [2][4]byte
	Call             uint64
	Fixed, AfterNone uint16
	State, Tint      uint32
	Mac              [6]byte
	_                [2]byte
	Chained          int32
}

// recordSize is that of struct event.
var recordSize = binary.Size(record{})

// bytes returns the record as the kernel would write it, and what follows it.
func (r *record) bytes(rest string) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, r); err != nil {
		panic(err) // of a type without a fixed size, that is
	}
	b.WriteString(rest)
	return b.Bytes()
}

// bits are the values of the C bit fields.
type bits struct {
	low     uint32 // 3 bits
	minus   int32  // 5 bits
	across  uint32 // 12 bits, after 2 unnamed ones
	bit     bool
	painted uint32 // 3 bits
	wide    uint64 // 40 bits
	high    int64  // 24 bits
}

// pack puts the bit fields where a C compiler for a little-endian machine has them: from the least
// significant bit on.
func (v bits) pack(r *record) {
	bit := uint32(0)
	if v.bit {
		bit = 1
	}
	r.Bits = v.low | uint32(v.minus)&31<<3 | v.across<<10 | bit<<22 | v.painted<<23
	r.WideBits = v.wide | uint64(v.high)<<40
}
