// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
)

// Places in a section's header and in a symbol of an ELF file of 64 bits.
const (
	headerFlags  = 8
	headerOffset = 24
	headerSize   = 32
	symbolSize   = 16
)

// patient is an object that is about to be damaged.
type patient struct {
	testing.TB
	data []byte
}

func newPatient(t testing.TB, name string) *patient {
	t.Helper()
	parse(t, name)
	return &patient{t, bytes.Clone(fixture.Compile(t, name).Object)}
}

func (p *patient) elf() *elf.File {
	p.Helper()
	f, err := elf.NewFile(bytes.NewReader(p.data))
	if err != nil {
		p.Fatal(err)
	}
	return f
}

// header returns the header of the first section with this name.
func (p *patient) header(section string) []byte {
	p.Helper()
	for i, s := range p.elf().Sections {
		if s.Name == section {
			return p.data[binary.LittleEndian.Uint64(p.data[0x28:])+uint64(i)*64:]
		}
	}
	p.Fatal("no section", section)
	return nil
}

// set writes a number in a section's header.
func (p *patient) set(section string, at int, v uint64) {
	p.Helper()
	binary.LittleEndian.PutUint64(p.header(section)[at:], v)
}

// grow moves a section to the end of the file, and gives it size bytes there.
func (p *patient) grow(section string, size int) {
	p.Helper()
	p.set(section, headerOffset, uint64(len(p.data)))
	p.set(section, headerSize, uint64(size))
	p.data = append(p.data, make([]byte, size)...)
}

// resize changes the size of a symbol.
func (p *patient) resize(symbol string, size uint64) {
	p.Helper()
	f := p.elf()
	symbols, err := f.Symbols() // without the first, which is empty
	if err != nil {
		p.Fatal(err)
	}
	for i, s := range symbols {
		if s.Name == symbol {
			at := f.Section(".symtab").Offset + uint64(i+1)*elf.Sym64Size
			binary.LittleEndian.PutUint64(p.data[at+symbolSize:], size)
			return
		}
	}
	p.Fatal("no symbol", symbol)
}

// An object cannot make gizmo take more time or memory than it is worth. The memory is counted for the whole
// process, so no other test runs meanwhile.
func TestHostileObjects(t *testing.T) {
	const program = "tracepoint/syscalls/sys_enter_getpgid"
	for name, c := range map[string]struct {
		damage func(p *patient)
		want   string
	}{
		"variables of a terabyte":     {func(p *patient) { p.set(".bss", headerSize, 1<<40) }, "its variables have more than 16777216 bytes"},
		"a section beyond the end":    {func(p *patient) { p.set(program, headerOffset, 1<<40) }, `section "` + program + `" is cut off`},
		"a section of an absurd size": {func(p *patient) { p.set(program, headerSize, 1<<63) }, "not a readable BPF object"},
		"sections at the same place": {func(p *patient) {
			p.set("license", headerOffset, 0)
			p.set("license", headerSize, uint64(len(p.data)))
		}, "is cut off"},
		"compressed":              {func(p *patient) { p.set(".maps", headerFlags, uint64(elf.SHF_COMPRESSED)) }, "not a readable BPF object"},
		"too much BTF":            {func(p *patient) { p.grow(".BTF", maxBTF+1) }, "more than 2097152 bytes of BTF"},
		"a program of a terabyte": {func(p *patient) { p.resize("gt_tp", 1<<40) }, `symbols of section "` + program + `" overlap`},
		"variables that overlap":  {func(p *patient) { p.resize("gadget_force_perf_buffer", 16) }, `symbols of section ".rodata" overlap`},
		"too much code": {func(p *patient) {
			p.grow(program, 2<<20*instructionSize)
			p.resize("gt_tp", 2<<20*instructionSize)
		}, "3 programs with 2097"},
	} {
		p := newPatient(t, "hooks")
		c.damage(p)
		before := allocated()
		_, err := parseObject(p.data, "")
		if err == nil || !strings.HasPrefix(err.Error(), "gadget object: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
		if n := allocated() - before; n > 128<<20 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}

// The longest chain of types that an object may have does not overflow the stack.
func TestChainOfTypes(t *testing.T) {
	t.Parallel()
	p := newPatient(t, "hooks")
	blob := chain((maxBTF - 64) / 12)
	p.grow(".BTF", len(blob))
	copy(p.data[len(p.data)-len(blob):], blob)
	if _, err := parseObject(p.data, ""); err == nil {
		t.Error("no error: its variables have no types any more")
	}
}

// chain is BTF with n types: each is a const of the next one, and the last is an int.
func chain(n int) []byte {
	const constant, integer = 10 << 24, 1 << 24
	var types []byte
	word := func(v ...uint32) {
		for _, x := range v {
			types = binary.LittleEndian.AppendUint32(types, x)
		}
	}
	for id := 1; id < n; id++ {
		word(0, constant, uint32(id+1))
	}
	word(1, integer, 4, 32)
	names := "\x00int\x00"
	header := []byte{0x9f, 0xeb, 1, 0}
	for _, v := range []int{24, 0, len(types), len(types), len(names)} {
		header = binary.LittleEndian.AppendUint32(header, uint32(v))
	}
	return append(append(header, types...), names...)
}

func TestPanicsBecomeErrors(t *testing.T) {
	t.Parallel()
	broken := func() (err error) {
		defer recoverError(&err)
		var none []byte
		_ = none[len("x")]
		return nil
	}
	err := broken()
	if err == nil || !strings.HasPrefix(err.Error(), "its parts contradict each other: ") {
		t.Errorf("got %v", err)
	}
	kept := errors.New("an error")
	if err := func() (err error) { defer recoverError(&err); return kept }(); err != kept {
		t.Errorf("got %v", err)
	}
}

// allocated is the sum of all allocations so far in bytes.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
