// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"math"
	"net/netip"
	"strings"
)

// A case is one record.
type testCase struct {
	name string
	rec  record
	bits bits
	rest string
	// cut is how many bytes the record is shorter than its struct.
	cut int
}

// sent returns the bytes that the program is handed.
func (c *testCase) sent() []byte {
	r := c.rec
	c.bits.pack(&r)
	if r.RestLen == 0 {
		r.RestLen = uint32(len(c.rest))
	}
	b := r.bytes(c.rest)
	return b[:len(b)-c.cut]
}

// bootOffset makes Unix time of the times in the records.
const bootOffset = 1_700_000_000_000_000_000

// The users and groups of the machine that the records are said to come from.
var (
	userNames  = map[uint32]string{0: "root", 1000: "alice", 4294967295: "last"}
	groupNames = map[uint32]string{0: "root", 1000: "staff"}
)

// cases returns the records in the order in which they are sent.
func cases() []testCase {
	list := []testCase{
		{name: "zero"},
		{name: "usual", rec: usual(), rest: "rest\x00 of it",
			bits: bits{low: 5, minus: -3, across: 2748, bit: true, painted: 2, wide: 1 << 39, high: -1}},
		{name: "greatest", rec: greatest(), rest: strings.Repeat("\xff", 300),
			bits: bits{low: 7, minus: 15, across: 4095, bit: true, painted: 7, wide: 1<<40 - 1, high: 1<<23 - 1}},
		{name: "least", rec: least(), bits: bits{minus: -16, high: -1 << 23, painted: 1}},
		{name: "hostile", rec: hostile(), rest: "\"}\n\x1b[2J"},
		{name: "rest says more than there is", rec: record{RestLen: math.MaxUint32}, rest: "abc"},
		{name: "rest says less than there is", rec: record{RestLen: 2}, rest: "abc"},
		{name: "cut", rec: usual(), cut: recordSize - 344}, // within the struct: behind code
		{name: "cut within a field", rec: greatest(), cut: recordSize - 15},
	}
	list = append(list, numberCases()...)
	for i := range list {
		if list[i].cut == 0 {
			list[i].rec.Seq = uint32(i)
		}
	}
	return list
}

func usual() record {
	return record{
		U128: wide{1, 1}, I128: wide{math.MaxUint64, math.MaxUint64},
		U64: 1 << 53, I64: -1 << 53, U32: 3_000_000_000, I32: -2_000_000_000, U16: 60_000, I16: -30_000, U8: 200, I8: -100,
		Yes: 1, Letter: 'x', F64: 0.1, F32: 0.1, Private: 0xdeadbeef, Ptr: 0xffff_8880_0000_0000,
		U16s: [4]uint16{1, 2, 3, 65535}, I32s: [2]int32{-1, 1}, F64s: [2]float64{1.5, -2.25}, Bytes: [6]byte{0xde, 0xad, 0, 0xbe, 0xef, 1},
		Bools: [2]uint8{1, 0}, Text: text24("hello, world"), I8s: [4]int8{-1, 0, 1, 127}, F32s: [1]float32{2.5},
		Grid: [2][2]uint32{{1, 2}, {3, 4}}, U128s: [1]wide{{0, 1}},
		AnonA: 7, AnonB: 0xffff_fffe, In: inner{A: 9, Gap: 10, Word: 0x04030201, Deep: -5, After: [3]byte{1, 2, 3}}, Hex: 0xc0ffee,
		Color: 2, Paint: 1, Level: -1, Perm: 7, Named: 1, Kernel: 1, Big: 1 << 63,
		Timestamp: 123_456_789, When: 86_400_000_000_001, Bare: 1,
		Error: 2, Sig: 9, Syscall: 41, Mode: 0o100644, Flags: 0o1101, User: 1000, Group: 1000,
		Size: 4_194_304, Took: 1_350_200, NetnsID: 4026531840, Code: -13,
		Addr: endpoint3("192.0.2.1"), Src: endpoint4("198.51.100.7:8080", 6), Dst: endpoint4("[2001:db8::1]:443", 17),
		PID: 100, TID: 101, PPID: 50, PTID: 51, Comm: comm("sh"), PComm: comm("init"), Owner: creds{1000, 1000},
		Maker: parent{comm("maker"), 3, 4}, Proc: usualProcess(), Users: [2]uint32{0, 1000}, Last: 42,
		Palette: [2]uint32{1, 2}, Mixed: [2]uint32{3, 0x04030201}, Stamps: [1]uint64{5}, Names: [2][4]byte{{'a', 0, 'b'}, {'c'}},
		Call: 1 << 63, Fixed: 6, AfterNone: 7, State: 1, Tint: 2, Mac: [6]byte{2, 0, 0, 0xaa, 0xbb, 0xcc}, Chained: -2,
	}
}

func usualProcess() process {
	return process{Comm: comm("cat"), PID: 4_194_304, TID: 12, MntnsID: 4026531841, Creds: creds{0, 0},
		Parent: parent{comm("bash"), 10, 11}}
}

// greatest has the greatest value that each number can have, and names that fill their arrays.
func greatest() record {
	const u32, u64 = math.MaxUint32, math.MaxUint64
	full := comm(strings.Repeat("f", 16))
	return record{
		U128: wide{u64, u64}, I128: wide{u64, math.MaxInt64}, U64: u64, I64: math.MaxInt64, U32: u32, I32: math.MaxInt32,
		U16: math.MaxUint16, I16: math.MaxInt16, U8: math.MaxUint8, I8: math.MaxInt8, Yes: 255, Letter: 127,
		F64: math.MaxFloat64, F32: math.MaxFloat32, Private: u32, Ptr: u64,
		U16s: [4]uint16{65535, 65535, 65535, 65535}, I32s: [2]int32{math.MaxInt32, math.MaxInt32},
		F64s: [2]float64{math.Inf(1), math.NaN()}, Bytes: [6]byte{255, 255, 255, 255, 255, 255}, Bools: [2]uint8{128, 255},
		Text: text24(strings.Repeat("t", 24)), I8s: [4]int8{127, 127, 127, 127}, F32s: [1]float32{float32(math.Inf(1))},
		Grid: [2][2]uint32{{u32, u32}, {u32, u32}}, U128s: [1]wide{{u64, u64}}, AnonA: u32, AnonB: math.MaxInt32,
		In: inner{A: 65535, Gap: 65535, Word: u32, Deep: 127, After: [3]byte{255, 255, 255}}, Hex: u32,
		Color: u32, Paint: 1_000_000, Level: math.MaxInt32, Perm: u32, Named: u32, Kernel: u32, Big: u64,
		Timestamp: math.MaxInt64 - bootOffset, When: math.MaxInt64 - bootOffset, Bare: math.MaxInt64 - bootOffset,
		Error: math.MaxInt32, Sig: u32, Syscall: math.MaxInt64, Mode: u32, Flags: u32, User: u32, Group: u32, Size: u64, Took: u64,
		NetnsID: u32, Code: math.MaxInt32,
		Addr: endpoint3("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Src: endpoint4("255.255.255.255:65535", 65535),
		Dst: endpoint4("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", 255),
		PID: u32, TID: u32, PPID: u32, PTID: u32, Comm: full, PComm: full, Owner: creds{u32, u32}, Maker: parent{full, u32, u32},
		Proc:  process{Comm: full, PID: u32, TID: u32, MntnsID: u64, Creds: creds{u32, u32}, Parent: parent{full, u32, u32}},
		Users: [2]uint32{u32, u32}, Last: u32,
		Palette: [2]uint32{u32, u32}, Mixed: [2]uint32{u32, u32}, Stamps: [1]uint64{u64},
		Names: [2][4]byte{{255, 255, 255, 255}, {255, 255, 255, 255}}, Call: u64, Fixed: 65535, AfterNone: 65535,
		State: u32, Tint: u32, Mac: [6]byte{255, 255, 255, 255, 255, 255}, Chained: math.MaxInt32,
	}
}

// least has the least value that each signed number can have.
func least() record {
	return record{
		I128: wide{0, 1 << 63}, I64: math.MinInt64, I32: math.MinInt32, I16: math.MinInt16, I8: math.MinInt8, Letter: 'a',
		F64: -math.MaxFloat64, F32: math.SmallestNonzeroFloat32, I32s: [2]int32{math.MinInt32, 0},
		F64s: [2]float64{math.Inf(-1), math.Copysign(0, -1)}, I8s: [4]int8{-128, -1, 0, 1},
		F32s: [1]float32{float32(math.NaN())}, U128s: [1]wide{{1e19, 0}}, AnonB: 1 << 31, In: inner{Deep: -128},
		Color: 3, Level: math.MinInt32, Perm: 6, Kernel: 77, Big: 3,
		Error: math.MinInt32, Syscall: -1, Code: -1, Timestamp: 1, When: 1,
		Addr: endpoint3("::"), Src: endpoint4("0.0.0.0:0", 0), Dst: endpoint4("[::ffff:192.0.2.1]:1", 1),
	}
}

// hostile has names that try to get out of their place.
func hostile() record {
	r := usual()
	r.Text = text24("q\" b\\ \n\t\x1b[0m \u202e\xff\xc3(")
	r.Comm, r.PComm = comm("\x1b]0;owned\x07"), comm("a\nb: c\r\n- d")
	r.Proc.Comm, r.Proc.Parent.Comm = comm("null"), comm("\xed\xa0\x80\xf0\x9f\x98")
	r.Maker.Comm = comm("\u2028\u0085\x7f\\u0041")
	r.Bytes = [6]byte{'"', '\\', '\n', 0, 0x1b, 0xff}
	r.Letter = '\n'
	r.Addr.Version, r.Src.Version, r.Dst.Version = 0, 5, 255 // no addresses
	return r
}

// numbers are the values of the enriched types; each case uses the next ones.
var numbers = struct {
	errors          []int32
	signals         []uint32
	syscalls        []int64
	modes, flags    []uint32
	sizes, times    []uint64
	ids, sets, proc []uint32
	floats          []float64
}{
	errors:   []int32{1, 11, 35, 95, 110, 133, 134, 511, 512, 524, -1, -110, -4095, 99999},
	signals:  []uint32{1, 6, 7, 17, 29, 31, 32, 34, 64, 65},
	syscalls: []int64{0, 1, 59, 257, 334, 400, 424, 435, 461, 999, 1 << 30, -1},
	modes:    []uint32{0o777, 0o40755, 0o120777, 0o140644, 0o20600, 0o60660, 0o10644, 0o104755, 0o102444, 0o41777, 0o1000, 0o170000, 0o7000},
	flags:    []uint32{1, 2, 3, 0o101, 0o4010000, 0o20200000, 0o10000, 0o400000, 0o2000000, 0x80000000, 0o101101, 4},
	sizes: []uint64{1, 999, 1000, 1049, 1050, 9949, 9950, 10_000, 10_499, 999_499, 999_500, 1e6, 999_499_999, 999_500_000, 1e9, 1e12,
		1e15, 1e18, 9_949_999_999_999_999_999, 9_950_000_000_000_000_000},
	times: []uint64{1, 999, 1000, 1004, 1005, 999_994, 999_995, 1e6, 999_994_999, 999_995_000, 1e9, 1.5e9, 59_994_999_999, 59_995_000_000, 6e10,
		123_499_999_999, 123_500_000_000, 3_599_499_999_999, 3_599_500_000_000, 3_605e9, 90_061e9, math.MaxInt64},
	ids:    []uint32{0, 1, 999, 1000, 65534, math.MaxUint32},
	sets:   []uint32{1, 2, 3, 4, 5, 6, 7, 8, 0x80000000, 0x80000007, 0x7ffffff8},
	proc:   []uint32{0, 1, 2, 6, 17, 58, 132, 255, 256, 262, 65535},
	floats: []float64{1, -1, 1e20, 1e21, 1e22, 1e-6, 9.9e-7, 1.0 / 3, math.Pi, 5e-324, math.NaN(), math.Inf(-1), 123456789.125, 16777217},
}

// numberCases returns as many records as the longest list of values has.
func numberCases() []testCase {
	var list []testCase
	for i := range 22 {
		c := testCase{name: "numbers"}
		r := &c.rec
		r.Error, r.Code = at(numbers.errors, i), at(numbers.errors, i)
		r.Sig, r.Syscall = at(numbers.signals, i), at(numbers.syscalls, i)
		r.Mode, r.Flags = at(numbers.modes, i), at(numbers.flags, i)
		r.Size, r.Took = at(numbers.sizes, i), at(numbers.times, i)
		r.User, r.Group, r.Owner = at(numbers.ids, i), at(numbers.ids, i), creds{at(numbers.ids, i), at(numbers.ids, i)}
		r.Perm, r.Named, r.Kernel, r.Color = at(numbers.sets, i), at(numbers.sets, i), uint32(i), uint32(i)
		r.Src = endpoint4("127.0.0.1:1", uint16(at(numbers.proc, i)))
		r.Dst = endpoint4("[::1]:1", uint16(at(numbers.proc, i)))
		r.F64 = at(numbers.floats, i)
		r.F32, r.F32s[0], r.F64s[0] = float32(r.F64), float32(r.F64), r.F64
		r.Timestamp = at(numbers.times, i) % (1 << 60) // within the range of package time
		r.When = at(numbers.times, i) % (1 << 60)
		list = append(list, c)
	}
	return list
}

func at[T any](list []T, i int) T { return list[i%len(list)] }

func comm(s string) (c [16]byte) { copy(c[:], s); return c }

func text24(s string) (t [24]byte) { copy(t[:], s); return t }

func endpoint3(addr string) l3 {
	a := netip.MustParseAddr(addr)
	e := l3{Version: 6, Addr: a.As16()}
	if a.Is4() {
		v4 := a.As4()
		e = l3{Version: 4}
		copy(e.Addr[:], v4[:])
	}
	return e
}

func endpoint4(addr string, proto uint16) l4 {
	a := netip.MustParseAddrPort(addr)
	e := endpoint3(a.Addr().String())
	return l4{Addr: e.Addr, Port: a.Port(), Proto: proto, Version: e.Version}
}
