// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// Sizes in bytes: of the ring, and of records that take less than a piece, several, and as much of the ring as the kernel lets them.
var (
	page        = os.Getpagesize()
	ringSize    = 16 * page
	smallRecord = 40
	largeRecord = 5*page + 8
	hugeRecord  = ringSize - 2*headerSize // the kernel leaves room for one more
)

// windowed is a kernel's ring of 16 pages that is mapped page by page, and programs that write to it: records of a size, whose first
// and last words are the number that they are called with.
func windowed(t *testing.T) (*Ring, map[int]*ebpf.Program) {
	t.Helper()
	kerneltest.RequireRoot(t)
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: uint32(ringSize)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	writers := make(map[int]*ebpf.Program)
	for _, size := range []int{smallRecord, largeRecord, hugeRecord} {
		prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.RawTracepoint, License: "GPL", Instructions: reserveProgram(m.FD(), size)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { prog.Close() })
		writers[size] = prog
	}
	r, err := open(m.FD(), ringSize, page)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r, writers
}

// reserveProgram writes a record of the size, with the first context argument at both ends. It returns 1 if there was no room.
func reserveProgram(fd, size int) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R6, asm.R1, 0, asm.DWord),
		asm.LoadMapPtr(asm.R1, fd),
		asm.Mov.Imm(asm.R2, int32(size)),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnRingbufReserve.Call(),
		asm.JNE.Imm(asm.R0, 0, "room"),
		asm.Mov.Imm(asm.R0, 1),
		asm.Return(),
		asm.StoreMem(asm.R0, 0, asm.R6, asm.DWord).WithSymbol("room"),
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.Add.Imm(asm.R7, int32(size-8)),
		asm.StoreMem(asm.R7, 0, asm.R6, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R0),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRingbufSubmit.Call(),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	}
}

// write reports whether there was room.
func write(t *testing.T, p *ebpf.Program, n uint64) bool {
	t.Helper()
	full, err := p.Run(&ebpf.RunOptions{Context: []uint64{n}})
	if err != nil {
		t.Fatal(err)
	}
	return full == 0
}

// mapped returns how many pages of the ring's data the kernel has mapped. The area is one mapping or many.
func mapped(t *testing.T, r *Ring) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	start := uint64(uintptr(unsafe.Pointer(&r.data[0])))
	pages := 0
	for line := range strings.Lines(string(text)) {
		addresses, _, _ := strings.Cut(line, " ")
		low, high, _ := strings.Cut(addresses, "-")
		from, err1 := strconv.ParseUint(low, 16, 64)
		to, err2 := strconv.ParseUint(high, 16, 64)
		if err1 != nil || err2 != nil {
			t.Fatalf("/proc/self/maps: %q", line)
		}
		if strings.Contains(line, "bpf-map") && from >= start && to <= start+uint64(len(r.data)) {
			pages += int(to-from) / page
		}
	}
	return pages
}

// Records of all sizes and at all positions are read completely, while pieces of the ring are mapped and unmapped at any time.
func TestWindow(t *testing.T) {
	r, writers := windowed(t)
	if n := mapped(t, r); n != 0 {
		t.Errorf("%d pages are mapped before there is anything to read", n)
	}
	random := rand.New(rand.NewPCG(1, 2))
	sizes := []int{smallRecord, smallRecord, smallRecord, smallRecord, largeRecord, hugeRecord}
	var waiting []int // the sizes of records to be read
	written, read, huge := uint64(0), uint64(0), 0
	for range 20_000 {
		switch random.IntN(4) {
		case 0, 1:
			size := sizes[random.IntN(len(sizes))]
			if write(t, writers[size], written) {
				written++
				waiting = append(waiting, size)
				if size == hugeRecord {
					huge++
				}
			}
		case 2:
			for range random.IntN(len(waiting) + 1) {
				head, tail, ok := r.Next()
				wantRecord(t, append(append([]byte(nil), head...), tail...), ok, waiting[0], read)
				waiting = waiting[1:]
				read++
			}
			r.Release()
		case 3:
			r.Trim()
			if n := mapped(t, r); len(waiting) == 0 && n > 1 {
				t.Fatalf("%d pages are mapped with nothing to read", n)
			}
		}
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if read < 1000 || huge < 100 {
		t.Errorf("only %d records were read, and %d of those written took nearly the whole ring", read, huge)
	}
}

func wantRecord(t *testing.T, got []byte, ok bool, size int, n uint64) {
	t.Helper()
	if !ok || len(got) != size {
		t.Fatalf("record %d: %d bytes, %v; want %d", n, len(got), ok, size)
	}
	first, last := binary.NativeEndian.Uint64(got), binary.NativeEndian.Uint64(got[size-8:])
	if first != n || last != n {
		t.Fatalf("record %d begins with %d and ends with %d", n, first, last)
	}
}

// Without Trim the ring is mapped piece by piece, and then stays.
func TestWindowGrows(t *testing.T) {
	r, writers := windowed(t)
	for i, want := range []int{6, 11, 16, 16, 16, 16} {
		if !write(t, writers[largeRecord], uint64(i)) {
			t.Fatal("no room")
		}
		head, tail, ok := r.Next()
		wantRecord(t, append(append([]byte(nil), head...), tail...), ok, largeRecord, uint64(i))
		r.Release()
		if n := mapped(t, r); n != want {
			t.Errorf("%d pages are mapped after %d records, want %d", n, i+1, want)
		}
	}
	r.Trim()
	if n := mapped(t, r); n != 1 {
		t.Errorf("%d pages are left", n)
	}
}

// Trim keeps pieces that are not released.
func TestTrimKeepsWhatIsRead(t *testing.T) {
	r, writers := windowed(t)
	if !write(t, writers[largeRecord], 7) {
		t.Fatal("no room")
	}
	head, tail, ok := r.Next()
	r.Trim()
	wantRecord(t, append(append([]byte(nil), head...), tail...), ok, largeRecord, 7)
}

// A ring that cannot be mapped has an error, and no records.
func TestWindowFails(t *testing.T) {
	r, writers := windowed(t)
	if !write(t, writers[smallRecord], 1) {
		t.Fatal("no room")
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	r.window.fd = -1
	for range 2 {
		if _, _, ok := r.Next(); ok || r.Err() == nil || !strings.Contains(r.Err().Error(), "map a part of the ring buffer: "+unix.EBADF.Error()) {
			t.Errorf("got %v, %v", ok, r.Err())
		}
	}
	r.Trim()
}
