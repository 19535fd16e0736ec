// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"bytes"
	"encoding/binary"
	"math"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// fake is a ring in ordinary memory, with the kernel's side played by the test.
type fake struct {
	Ring
	end uint64
}

func newFake(size int) *fake {
	words := make([]uint64, 2+size/8) // 8-aligned
	p := unsafe.Pointer(&words[0])
	f := &fake{Ring: Ring{window: window{to: math.MaxUint64}}} // all of it is there
	f.consumer = (*atomic.Uint64)(p)
	f.producer = (*atomic.Uint64)(unsafe.Add(p, 8))
	f.data = unsafe.Slice((*byte)(unsafe.Add(p, 16)), size)
	f.mask = uint64(size) - 1
	return f
}

// put appends a record with these flags in its header.
func (f *fake) put(payload []byte, flags uint32) {
	at := f.end & f.mask
	binary.LittleEndian.PutUint32(f.data[at:], uint32(len(payload))|flags)
	for i, c := range payload {
		f.data[(at+headerSize+uint64(i))&f.mask] = c
	}
	f.end += (uint64(len(payload)) + headerSize + 7) &^ 7
	f.producer.Store(f.end)
}

func TestNextReturnsRecordsInOrder(t *testing.T) {
	f := newFake(256)
	for lap := range 100 { // several times around, with records that wrap
		want := [][]byte{bytes.Repeat([]byte{byte(lap)}, 1+lap%60), []byte("second"), {}}
		f.put(want[0], 0)
		f.put([]byte("discarded"), discardBit)
		f.put(want[1], 0)
		f.put(want[2], 0)
		for i, w := range want {
			head, tail, ok := f.Next()
			if got := append(bytes.Clone(head), tail...); !ok || !bytes.Equal(got, w) {
				t.Fatalf("lap %d, record %d: got %q, want %q", lap, i, got, w)
			}
		}
		if _, _, ok := f.Next(); ok {
			t.Fatalf("lap %d: a record too many", lap)
		}
		f.Release()
		if f.consumer.Load() != f.end {
			t.Fatalf("lap %d: released up to %d, want %d", lap, f.consumer.Load(), f.end)
		}
	}
}

func TestNextStopsAtUnfinishedRecord(t *testing.T) {
	f := newFake(256)
	f.put([]byte("done"), 0)
	f.put([]byte("busy"), busyBit)
	f.put([]byte("later"), 0)
	if head, _, ok := f.Next(); !ok || string(head) != "done" {
		t.Fatalf("got %q, %v", head, ok)
	}
	if _, _, ok := f.Next(); ok {
		t.Fatal("read past an unfinished record")
	}
	if !f.Busy() {
		t.Error("not busy with an unfinished record")
	}
	binary.LittleEndian.PutUint32(f.data[16:], 4) // finished
	for _, want := range []string{"busy", "later"} {
		if head, _, ok := f.Next(); !ok || string(head) != want {
			t.Fatalf("got %q, want %q", head, want)
		}
	}
	if f.Busy() {
		t.Error("busy with nothing left")
	}
}

// kernelRing is a real ring buffer and a program that writes to it records of the size that it is
// called with: the bytes 'x'.
func kernelRing(t *testing.T, size int) (*Ring, func(n uint64) error) {
	t.Helper()
	kerneltest.RequireRoot(t)
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: uint32(size)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.RawTracepoint, License: "GPL", Instructions: outputProgram(m.FD())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	r, err := Open(m.FD(), size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r, func(n uint64) error {
		code, err := prog.Run(&ebpf.RunOptions{Context: []uint64{n}})
		if err == nil && code != 0 {
			return unix.Errno(-int32(code))
		}
		return err
	}
}

// outputProgram calls bpf_ringbuf_output with the first context argument, at most 255, as size.
func outputProgram(fd int) asm.Instructions {
	prog := asm.Instructions{asm.LoadMem(asm.R3, asm.R1, 0, asm.DWord)}
	prog = append(prog, asm.And.Imm(asm.R3, 255), asm.LoadImm(asm.R1, 0x7878787878787878, asm.DWord))
	for off := int16(-256); off < 0; off += 8 {
		prog = append(prog, asm.StoreMem(asm.RFP, off, asm.R1, asm.DWord))
	}
	return append(prog,
		asm.LoadMapPtr(asm.R1, fd),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -256),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnRingbufOutput.Call(),
		asm.Return(),
	)
}

func TestKernelRing(t *testing.T) {
	r, output := kernelRing(t, 4096)
	for lap := range uint64(200) {
		sizes := []uint64{lap % 256, 1 + lap%40, 255}
		for _, n := range sizes {
			if err := output(n); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Wait(-1); err != nil {
			t.Fatal(err)
		}
		for _, n := range sizes {
			head, tail, ok := r.Next()
			got := append(bytes.Clone(head), tail...)
			if !ok || !bytes.Equal(got, bytes.Repeat([]byte{'x'}, int(n))) {
				t.Fatalf("lap %d: got %q, want %d bytes", lap, got, n)
			}
		}
		r.Release()
	}
	if _, _, ok := r.Next(); ok {
		t.Error("a record too many")
	}
}

func TestKernelRingRefusesWhenFull(t *testing.T) {
	r, output := kernelRing(t, 4096)
	stored := 0
	for output(248) == nil {
		stored++
	}
	if want := 4096 / 256; stored != want && stored != want-1 {
		t.Errorf("%d records of 256 bytes fit into 4096", stored)
	}
	for range stored {
		if _, _, ok := r.Next(); !ok {
			t.Fatal("a stored record is missing")
		}
	}
	if err := output(248); err == nil {
		t.Error("the memory came back before Release")
	}
	r.Release()
	if err := output(248); err != nil {
		t.Errorf("after Release: %v", err)
	}
}

func TestWait(t *testing.T) {
	r, _ := kernelRing(t, 4096)
	start := time.Now()
	if err := r.Wait(30 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < 30*time.Millisecond {
		t.Errorf("waited %v with nothing to read", d)
	}
	time.AfterFunc(10*time.Millisecond, r.Wake)
	for range 2 { // now and ever after
		if err := r.Wait(-1); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	f := newFake(1 << 12)
	payload := []byte("0123456789")
	if n := testing.AllocsPerRun(100, func() {
		for range 20 {
			f.put(payload, 0)
		}
		for {
			if _, _, ok := f.Next(); !ok {
				break
			}
		}
		f.Release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNext(b *testing.B) {
	f := newFake(1 << 20)
	payload := make([]byte, 150)
	b.ReportAllocs()
	for b.Loop() {
		f.put(payload, 0)
		if _, _, ok := f.Next(); !ok {
			b.Fatal("nothing")
		}
		f.Release()
	}
}
