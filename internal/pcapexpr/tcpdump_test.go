// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// corpus returns the expressions of testdata/corpus.txt.
func corpus(tb testing.TB) []string {
	tb.Helper()
	data, err := os.ReadFile("testdata/corpus.txt")
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// tcpdump compiles expressions.
type tcpdump struct {
	path string
	file string // an empty capture of Ethernet
}

func newTcpdump(t *testing.T) *tcpdump {
	t.Helper()
	path := kerneltest.RequireProgram(t, "tcpdump", "/usr/bin/tcpdump", "/usr/sbin/tcpdump")
	header := []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0}
	file := filepath.Join(t.TempDir(), "empty.pcap")
	if err := os.WriteFile(file, header, 0o600); err != nil {
		t.Fatal(err)
	}
	return &tcpdump{path, file}
}

// compile compiles an expression with options: -O switches tcpdump's optimizer off.
func (d *tcpdump) compile(expression string, options ...string) ([]bpf.Instruction, error) {
	return d.run(slices.Concat([]string{"-r", d.file}, options, []string{"--", expression})...)
}

// run compiles an expression by the command line.
func (d *tcpdump) run(args ...string) ([]bpf.Instruction, error) {
	cmd := exec.Command(d.path, append([]string{"-ddd"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%s", exit.Stderr)
		}
		return nil, err
	}
	var program []bpf.Instruction
	for line := range strings.Lines(string(out)) {
		var numbers []uint64
		for field := range strings.FieldsSeq(line) {
			n, err := strconv.ParseUint(field, 10, 32)
			if err != nil {
				return nil, err
			}
			numbers = append(numbers, n)
		}
		if len(numbers) == 4 {
			program = append(program, bpf.RawInstruction{Op: uint16(numbers[0]), Jt: uint8(numbers[1]), Jf: uint8(numbers[2]), K: uint32(numbers[3])}.Disassemble())
		}
	}
	return program, nil
}

// machine returns an interpreter of a program for packets with a VLAN tag beside them, or without one if it is negative.
func machine(t *testing.T, program []bpf.Instruction, tag int) *bpf.VM {
	t.Helper()
	plain := make([]bpf.Instruction, len(program))
	for i, ins := range program {
		switch ins := ins.(type) {
		case bpf.LoadExtension:
			switch {
			case ins.Num == bpf.ExtVLANTagPresent && tag >= 0:
				plain[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: 1}
			case ins.Num == bpf.ExtVLANTagPresent:
				plain[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: 0}
			case ins.Num == bpf.ExtVLANTag:
				plain[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: uint32(tag)}
			default:
				plain[i] = ins
			}
		case bpf.NegateA: // which the interpreter does not know
			plain[i] = bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: 1<<32 - 1}
		default:
			plain[i] = ins
		}
	}
	vm, err := bpf.NewVM(plain)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

func matches(t *testing.T, vm *bpf.VM, p []byte) bool {
	t.Helper()
	n, err := vm.Run(p)
	if err != nil {
		t.Fatal(err)
	}
	return n != 0
}

// The verdicts are those of tcpdump, for each expression of the corpus. tcpdump's optimizer changes the order in which values are read, and
// leaves some out; so a packet that ends too early may have the verdict with the optimizer or that without.
func TestVerdictsAreThoseOfTcpdump(t *testing.T) {
	d := newTcpdump(t)
	for i, expression := range corpus(t) {
		ours, err := Compile(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		plain, err := d.compile(expression, "-O")
		optimized, err2 := d.compile(expression)
		if err := errors.Join(err, err2); err != nil {
			t.Errorf("%s: tcpdump: %v", expression, err)
			continue
		}
		compareVerdicts(t, rand.New(rand.NewPCG(1, uint64(i))), expression, ours, plain, optimized)
	}
}

func compareVerdicts(t *testing.T, rng *rand.Rand, expression string, ours, plain, optimized []bpf.Instruction) {
	t.Helper()
	us, them, alsoThem := machine(t, ours, -1), machine(t, plain, -1), machine(t, optimized, -1)
	count := map[bool]int{}
	for i, p := range packets(rng, 1200, ours, plain, optimized) {
		got, want, other := matches(t, us, p), matches(t, them, p), matches(t, alsoThem, p)
		count[want]++
		whole := i%4 != 0 // the others are cut short
		if got == want && got == other || !whole && (got == want || got == other) {
			continue
		}
		t.Errorf("%s: %v, tcpdump %v, %v, for the packet %x\n%v\n%v", expression, got, want, other, p, ours, plain)
		return
	}
	if always := expression == "net 0.0.0.0/0"; count[true] < 2 || count[false] < 2 && !always {
		t.Errorf("%s: the packets do not exercise it: %v", expression, count)
	}
}

// For packets from a network interface tcpdump looks for the VLAN tag beside the packet, too.
func TestTagVerdictsAreThoseOfTcpdump(t *testing.T) {
	kerneltest.RequireRoot(t)
	d := newTcpdump(t)
	for i, expression := range corpus(t) {
		if !strings.Contains(expression, "vlan") {
			continue
		}
		ours, err := Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := d.run("-i", "lo", "-O", "--", expression)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(2, uint64(i)))
		for _, tag := range []int{-1, 0, 100, 200, 0x2064} {
			us, them := machine(t, ours, tag), machine(t, theirs, tag)
			for _, p := range packets(rng, 400, ours, theirs) {
				if got, want := matches(t, us, p), matches(t, them, p); got != want {
					t.Errorf("%s, tag %d: %v, tcpdump %v, for the packet %x\n%v\n%v", expression, tag, got, want, p, ours, theirs)
					break
				}
			}
		}
	}
}
