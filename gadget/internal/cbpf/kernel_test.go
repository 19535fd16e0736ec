// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cbpf

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/internal/pcapexpr"
)

var seed = flag.Uint64("seed", 1, "the random programs are those of this `number`")

// kind is a kind of program with a way to read packets.
type kind struct {
	name   string
	of     ebpf.ProgramType
	access Access
	// before is what a test run takes off the packet.
	before int
}

var kinds = []kind{
	{"socket", ebpf.SocketFilter, Copy, 14},
	{"socket-helper", ebpf.SocketFilter, Helper, 14},
	{"classifier", ebpf.SchedCLS, DirectOrHelper, 0},
	{"classifier-copy", ebpf.SchedCLS, Copy, 0},
	{"xdp", ebpf.XDP, Direct, 0},
}

// loadKind loads the function of a program as a program of its own.
func (k *kind) load(program []bpf.Instruction) (*ebpf.Program, error) {
	function, err := Translate(program, k.access)
	if err != nil {
		return nil, err
	}
	var code asm.Instructions
	switch k.of {
	case ebpf.SchedCLS:
		code = append(code, asm.LoadMem(asm.R4, asm.R1, 76, asm.Word), asm.LoadMem(asm.R5, asm.R1, 80, asm.Word))
	case ebpf.XDP:
		code = append(code, asm.LoadMem(asm.R4, asm.R1, 0, asm.Word), asm.LoadMem(asm.R5, asm.R1, 4, asm.Word))
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: k.of, License: "GPL", Instructions: append(code, function...)})
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%+v", k.name, err, function)
	}
	return p, nil
}

// verdict runs the program for a packet. It returns false if the kernel does not do test runs with such a packet: Linux 6.18 refuses
// those that are too short for the header of IP.
func (k *kind) verdict(t testing.TB, p *ebpf.Program, packet []byte) (matches, ok bool) {
	t.Helper()
	n, err := p.Run(&ebpf.RunOptions{Data: append(make([]byte, k.before), packet...)})
	if errors.Is(err, unix.EINVAL) && len(packet) < 14+40 {
		return false, false
	}
	if err != nil {
		t.Fatalf("%s: run with %d bytes: %v", k.name, len(packet), err)
	}
	return n != 0, true
}

// verdicts loads a program as each kind, and compares the verdicts on packets with those of the interpreter.
func verdicts(t *testing.T, program []bpf.Instruction, packets [][]byte) {
	t.Helper()
	vm, err := bpf.NewVM(interpretable(program))
	if err != nil {
		t.Fatal(err)
	}
	for i := range kinds {
		k := &kinds[i]
		p, err := k.load(program)
		if err != nil {
			t.Fatalf("%v: %v", program, err)
		}
		for _, packet := range packets {
			n, err := vm.Run(packet)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := k.verdict(t, p, packet); ok && got != (n != 0) {
				t.Fatalf("%s: %v, the interpreter returns %d, for the packet %x\n%v", k.name, got, n, packet, program)
			}
		}
		p.Close()
	}
}

// interpretable returns the program without what the interpreter does not know.
func interpretable(program []bpf.Instruction) []bpf.Instruction {
	out := make([]bpf.Instruction, len(program))
	for i, ins := range program {
		switch ins := ins.(type) {
		case bpf.NegateA:
			out[i] = bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: 1<<32 - 1}
		case bpf.LoadExtension:
			if out[i] = ins; ins.Num != bpf.ExtLen { // a test run has no VLAN tag
				out[i] = bpf.LoadConstant{Dst: bpf.RegA}
			}
		default:
			out[i] = ins
		}
	}
	return out
}

// shortest is the shortest packet of a test run.
const shortest = 14

func randomBytes(rng *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rng.Uint32() >> (4 * rng.IntN(7)))
	}
	return p
}

// Random programs have the verdicts of the interpreter.
func TestRandomPrograms(t *testing.T) {
	kerneltest.RequireRoot(t)
	rng := rand.New(rand.NewPCG(*seed, 1))
	for range 400 {
		program := randomProgram(rng)
		var packets [][]byte
		for range 25 {
			packets = append(packets, randomBytes(rng, shortest+rng.IntN(150)))
		}
		verdicts(t, program, packets)
	}
}

// randomProgram returns a valid program.
func randomProgram(rng *rand.Rand) []bpf.Instruction {
	n := 2 + rng.IntN(40)
	var program []bpf.Instruction
	for i := range n {
		program = append(program, randomInstruction(rng, n-i-1))
	}
	return append(program, pick[bpf.Instruction](rng, bpf.RetA{}, bpf.RetConstant{Val: uint32(rng.IntN(3))}))
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// randomInstruction returns an instruction that left instructions follow, and then one that ends the program.
func randomInstruction(rng *rand.Rand, left int) bpf.Instruction {
	register := pick(rng, bpf.RegA, bpf.RegX)
	constant := pick(rng, uint32(rng.IntN(40)), rng.Uint32(), 0, 1, 31, 32, 1<<31, 1<<32-1)
	off := pick(rng, uint32(rng.IntN(70)), uint32(rng.IntN(200)), 65536, 1<<31-1)
	skip := func() uint8 { return uint8(rng.IntN(min(left, 4) + 1)) }
	op := bpf.ALUOp(rng.IntN(11) << 4)
	cond := bpf.JumpTest(rng.IntN(8))
	switch rng.IntN(18) {
	case 0:
		return bpf.LoadConstant{Dst: register, Val: constant}
	case 1:
		return bpf.LoadScratch{Dst: register, N: rng.IntN(16)}
	case 2:
		return bpf.StoreScratch{Src: register, N: rng.IntN(16)}
	case 3, 4:
		return bpf.LoadAbsolute{Off: off, Size: pick(rng, 1, 2, 4)}
	case 5, 6:
		return bpf.LoadIndirect{Off: off, Size: pick(rng, 1, 2, 4)}
	case 7:
		return bpf.LoadMemShift{Off: off}
	case 8:
		return bpf.LoadExtension{Num: pick(rng, bpf.ExtLen, bpf.ExtLen, bpf.ExtVLANTag, bpf.ExtVLANTagPresent)}
	case 9, 10:
		if op == 0x80 {
			return bpf.NegateA{}
		}
		if op == bpf.ALUOpDiv || op == bpf.ALUOpMod {
			constant |= 1
		}
		return bpf.ALUOpConstant{Op: op, Val: constant}
	case 11:
		if op == 0x80 {
			return bpf.NegateA{}
		}
		return bpf.ALUOpX{Op: op}
	case 12:
		return bpf.TAX{}
	case 13:
		return bpf.TXA{}
	case 14:
		return bpf.Jump{Skip: uint32(skip())}
	case 15:
		return bpf.JumpIf{Cond: cond, Val: constant, SkipTrue: skip(), SkipFalse: skip()}
	case 16:
		return bpf.JumpIfX{Cond: cond, SkipTrue: skip(), SkipFalse: skip()}
	}
	return pick[bpf.Instruction](rng, bpf.TAX{}, bpf.RetA{}, bpf.RetConstant{Val: 7}, bpf.LoadMemShift{Off: 14})
}

// Expressions have the verdicts of the interpreter.
func TestExpressions(t *testing.T) {
	kerneltest.RequireRoot(t)
	data, err := os.ReadFile("../../../internal/pcapexpr/testdata/corpus.txt")
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for expression := range strings.Lines(string(data)) {
		program, err := pcapexpr.Compile(strings.TrimSpace(expression))
		if err != nil {
			t.Fatal(err)
		}
		var packets [][]byte
		for range 60 {
			p := randomBytes(rng, shortest+rng.IntN(120))
			copy(p[12:], pick(rng, "\x08\x00\x45", "\x08\x00\x46", "\x86\xdd\x60", "\x81\x00\x00\x64\x08\x00\x45", "\x08\x06")) // short ones may lose some
			if len(p) > 24 {
				p[23], p[20] = pick[byte](rng, 6, 17, 1), pick[byte](rng, 6, 17, 58, 0)
			}
			packets = append(packets, p)
		}
		verdicts(t, program, packets)
	}
}

// The verifier follows the largest expressions, but for the way that package gadget uses for small ones only.
func TestLargestExpressions(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, c := range []struct {
		format, join string
		n            int
	}{
		{"host 2001:db8::%x", " and not ", 1024},
		{"tcp dst port %d", " or ", 1024},
		{"(host 10.0.0.%[1]d and port %[1]d)", " or ", 128},
		{"ip[ip[%d]:2] = 1", " or ", 512},
	} {
		parts := make([]string, c.n)
		for i := range parts {
			parts[i] = fmt.Sprintf(c.format, i+1)
		}
		program, err := pcapexpr.Compile(strings.Join(parts, c.join))
		if err != nil {
			t.Fatal(err)
		}
		if len(program) < pcapexpr.MaxInstructions/2 {
			t.Errorf("%s: only %d instructions", c.format, len(program))
		}
		for i := range kinds {
			k := &kinds[i]
			if k.access == DirectOrHelper {
				continue
			}
			p, err := k.load(program)
			if err != nil {
				t.Errorf("%s: %s: %.300v", c.format, k.name, err)
				continue
			}
			p.Close()
		}
	}
}

func BenchmarkFilter(b *testing.B) {
	kerneltest.RequireRoot(b)
	packet := make([]byte, 74)
	copy(packet[12:], "\x08\x00\x45\x00\x00\x3c\x00\x00\x40\x00\x40\x06\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02\x1f\x90\x9c\x40")
	for _, expression := range []string{"", "arp", "tcp port 9", "host 10.0.0.9", "tcp port 9 and host 10.0.0.9", "tcp[tcpflags] & (tcp-rst) != 0", "portrange 1-7 or portrange 20-30"} {
		program, err := pcapexpr.Compile(expression)
		if err != nil {
			b.Fatal(err)
		}
		for i := range kinds {
			k := &kinds[i]
			b.Run(expression+"/"+k.name, func(b *testing.B) {
				p, err := k.load(program)
				if err != nil {
					b.Fatal(err)
				}
				defer p.Close()
				var total time.Duration
				_, total, err = p.Benchmark(append(make([]byte, k.before), packet...), max(b.N, 1), nil)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(total.Nanoseconds()), "ns/packet")
			})
		}
	}
}
