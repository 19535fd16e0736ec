// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// left and right call each other on a path that a number gives, so each number has a stack of its own.

//go:noinline
func left(path, depth int, leaf func()) int {
	if depth == 0 {
		leaf()
		return 1
	}
	if path&1 == 0 {
		return left(path>>1, depth-1, leaf) + 1
	}
	return right(path>>1, depth-1, leaf) + 1
}

//go:noinline
func right(path, depth int, leaf func()) int {
	if depth == 0 {
		leaf()
		return 1
	}
	if path&1 == 0 {
		return left(path>>1, depth-1, leaf) + 2
	}
	return right(path>>1, depth-1, leaf) + 2
}

// pathLength is the number of calls on a path.
const pathLength = 20

// ways are the programs of the fixture that make events of system calls.
var ways = []string{"tracepoint", "raw_tp", "tp_btf"}

// withStacks are options for the fixture "stacks", whose programs of that way make the events.
func withStacks(t testing.TB, img *image.Image, way int, o LoadOptions) LoadOptions {
	t.Helper()
	o.Params = make(map[string]image.Value)
	setParam(t, img, o.Params, "way", uint64(way))
	for _, name := range []string{"collect-ustack", "kernel_too"} {
		p, ok := img.Param(name)
		if !ok {
			t.Fatal("no param ", name)
		}
		o.Params[p.Var] = image.Value{1}
	}
	return o
}

// stackSink counts events by their stacks.
type stackSink struct {
	t                   *testing.T
	stacks              *Stacks
	value, kernel, user *event.Field
	byStack             map[string]int
	errors              map[int32]int // in place of users' stacks
	kernelErrors        map[int32]int
	kernels, events     int
	seen                atomic.Int64 // events, for the goroutine that makes them
	buf                 []uint64
	lastUser            uint32
	samples             *samples       // each stack has one
	buildIDs            map[uint32]int // how many each stack has; nil: they are not collected
}

func newStackSink(t *testing.T, g *running) *stackSink {
	t.Helper()
	s := g.source(t).Schemas()[0]
	if g.Stacks() == nil {
		t.Fatal("the gadget uses the kernel's table")
	}
	return &stackSink{
		t: t, stacks: g.Stacks(), value: field(t, s, "value"), kernel: field(t, s, "kernel_raw"), user: field(t, s, "user_raw.stack_id"),
		byStack: make(map[string]int), errors: make(map[int32]int), kernelErrors: make(map[int32]int),
	}
}

func (s *stackSink) Bind(*event.Schema) (event.FieldSet, error) { return event.FieldSet{}, nil }

func (s *stackSink) Write(b *event.Batch) error {
	for _, row := range b.Rows {
		s.events++
		id := uint32(s.user.Uint(row))
		var user, ok bool
		if int32(id) < 0 {
			s.errors[int32(id)]++
		} else if s.buf, user, ok = s.stacks.Append(s.buf[:0], id); !ok || !user {
			s.t.Errorf("stack %d of event %d: found %v, of a process %v", id, s.events, ok, user)
		} else {
			s.byStack[fmt.Sprint(s.buf)]++
			s.lastUser = id
			s.check(id)
		}
		id = uint32(s.kernel.Uint(row))
		if s.buf, user, ok = s.stacks.Append(s.buf[:0], id); ok && !user {
			s.kernels++
		} else if int32(id) < 0 {
			s.kernelErrors[int32(id)]++
		}
	}
	s.seen.Store(int64(s.events))
	return nil
}

// wait returns when the sink has got so many events.
func (s *stackSink) wait(events int) {
	for end := time.Now().Add(10 * time.Second); s.seen.Load() < int64(events) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// check looks at what else there is about a user stack, whose addresses are in s.buf.
func (s *stackSink) check(id uint32) {
	if s.samples != nil {
		s.checkSample(id, s.buf)
	}
	if s.buildIDs == nil || s.buildIDs[id] > 0 {
		return
	}
	ids, err := s.stacks.BuildIDs(nil, id)
	if err != nil || len(ids) > 0 && len(ids) != len(s.buf) {
		s.t.Fatalf("%d build ids, %v, of %d addresses", len(ids), err, len(s.buf))
	}
	for i := range ids {
		if ids[i].Status != BuildIDValid && ids[i].Offset != s.buf[i] {
			s.t.Fatalf("address %d is %#x, with build ids %#x", i, s.buf[i], ids[i].Offset)
		}
	}
	s.buildIDs[id] = len(ids)
}

// hasKernels reports whether each event has a stack of the kernel. On Linux 6.1 tracepoints of system calls have none.
func (s *stackSink) hasKernels(way int) bool {
	return s.kernels == s.events || way == 0 && s.kernelErrors[-int32(unix.EFAULT)] == s.events
}

// runStacks runs the gadget while work makes events.
func runStacks(t *testing.T, g *running, sink pipeline.Sink, work func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	runner := pipeline.Runner{Sources: g.Sources(), Sinks: []pipeline.NamedSink{{Sink: sink}}, Ledger: &pipeline.Ledger{}, Stop: func() {
		if err := g.Detach(); err != nil {
			t.Error(err)
		}
	}}
	go func() {
		defer cancel()
		work()
	}()
	if err := runner.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if lost := runner.Ledger.Lost(); lost > 0 {
		t.Fatal("lost events: ", lost)
	}
}

// Each of 20,000 stacks that three events each have is there, and has three events.
func TestNoStackIsLost(t *testing.T) {
	const stacks, times = 20_000, 3
	img := parse(t, "stacks")
	// The rings have room for all, so that nothing depends on when the machine lets this process read them.
	g := start(t, img, withStacks(t, img, 0, LoadOptions{BufferSize: 16 << 20, stackRing: 32 << 20}))
	sink := newStackSink(t, g)
	runStacks(t, g, sink, func() {
		for range times {
			for path := range stacks {
				left(path, pathLength, func() { g.call(0) })
			}
		}
	})
	if len(sink.byStack) != stacks || len(sink.errors) > 0 || sink.events != stacks*times {
		t.Errorf("%d events, %d stacks, errors %v", sink.events, len(sink.byStack), sink.errors)
	}
	for stack, n := range sink.byStack {
		if n != times {
			t.Fatalf("a stack has %d events: %s", n, stack)
		}
	}
	wantNothingLost(t, g)
}

func wantNothingLost(t *testing.T, g *running) {
	t.Helper()
	if lost, err := g.Stacks().Lost(); err != nil || lost.Full+lost.Busy+lost.Exhausted > 0 {
		t.Errorf("lost %+v, %v", lost, err)
	}
}

// functionsAt returns the names of the test's functions at the addresses.
func functionsAt(addresses []uint64) (names []string) {
	for _, address := range addresses {
		if f := runtime.FuncForPC(uintptr(address) - 1); f != nil {
			names = append(names, f.Name()[strings.LastIndexByte(f.Name(), '.')+1:])
		}
	}
	return names
}

// In each kind of program the ids lead to the functions on the stack, and to a stack of the kernel.
func TestStacksOfEachKindOfProgram(t *testing.T) {
	for way, name := range ways {
		t.Run(name, func(t *testing.T) {
			img := parse(t, "stacks")
			g := start(t, img, withStacks(t, img, way, LoadOptions{}))
			sink := newStackSink(t, g)
			runStacks(t, g, sink, func() { left(0b0101, 4, func() { g.call(0) }) })
			if sink.events != 1 || !sink.hasKernels(way) || len(sink.byStack) != 1 {
				t.Fatalf("%d events, %d stacks of the kernel, errors %v", sink.events, sink.kernels, sink.errors)
			}
			frames, _, _ := g.Stacks().Append(nil, sink.lastUser)
			names := functionsAt(frames)
			for _, want := range []string{"left right left right left", "call"} {
				if !strings.Contains(strings.Join(names, " "), want) {
					t.Errorf("%q is not on the stack: %q", want, names)
				}
			}
			wantNothingLost(t, g)
		})
	}
}

// The kernel's threads have no stack of a process: the error is the helper's.
func TestKernelThreadHasNoUserStack(t *testing.T) {
	img := parse(t, "stacks")
	g := start(t, img, withStacks(t, img, len(ways), LoadOptions{}))
	sink := newStackSink(t, g)
	runStacks(t, g, sink, func() {
		// A file that is deleted makes work for the kernel, and the clock does anyway.
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && sink.seen.Load() == 0; time.Sleep(10 * time.Millisecond) {
			unix.Sync()
		}
	})
	if sink.events == 0 || sink.errors[-int32(unix.EFAULT)] != sink.events {
		t.Errorf("%d events, errors %v", sink.events, sink.errors)
	}
	if sink.kernels != sink.events {
		t.Errorf("%d of %d have a stack of the kernel", sink.kernels, sink.events)
	}
	wantNothingLost(t, g)
}

// A stack for which there is no room in the ring is an error in its event, and counted.
func TestStacksThatDoNotFit(t *testing.T) {
	img := parse(t, "stacks")
	g := start(t, img, withStacks(t, img, 0, LoadOptions{stackRing: 4096, BufferSize: 16 << 20}))
	sink := newStackSink(t, g)
	const stacks = 20_000
	runStacks(t, g, sink, func() {
		for path := range stacks {
			left(path, pathLength, func() { g.call(0) })
		}
	})
	failed := sink.errors[-int32(unix.ENOSPC)]
	if failed == 0 || failed+len(sink.byStack) != stacks || len(sink.errors) != 1 {
		t.Errorf("%d stacks, errors %v", len(sink.byStack), sink.errors)
	}
	lost, err := g.Stacks().Lost()
	if kernel := sink.kernelErrors[-int32(unix.ENOSPC)]; err != nil || lost != (LostStacks{Full: uint64(failed + kernel)}) {
		t.Errorf("lost %+v, %v; %d events have an error in place of a stack, and %d of the kernel's", lost, err, failed, kernel)
	}
}

// Programs that interrupt others on the same CPU have rooms of their own, and if there are too many, the stack is lost and counted.
func TestNestedPrograms(t *testing.T) {
	img := parse(t, "stacks")
	g := start(t, img, withStacks(t, img, 0, LoadOptions{}))
	sink := newStackSink(t, g)
	rooms := g.coll.Maps["gizmo_stack_rooms"]
	n := rooms.MaxEntries()
	runStacks(t, g, sink, func() {
		for taken := range n + 1 {
			if taken > 0 {
				takeRoom(t, rooms, taken-1)
			}
			left(int(taken), pathLength, func() { g.call(0) })
		}
	})
	if len(sink.byStack) != int(n) || sink.errors[-int32(unix.EBUSY)] != 1 {
		t.Errorf("%d stacks, errors %v, want %d and one", len(sink.byStack), sink.errors, n)
	}
	if lost, err := g.Stacks().Lost(); err != nil || lost != (LostStacks{Busy: 2}) {
		t.Errorf("lost %+v, %v, want the user's and the kernel's", lost, err)
	}
}

// takeRoom does as if a program on each CPU were using a room.
func takeRoom(t *testing.T, rooms *ebpf.Map, number uint32) {
	t.Helper()
	var each [][]byte
	if err := rooms.Lookup(number, &each); err != nil {
		t.Error(err)
	}
	for _, room := range each {
		room[0] = 1
	}
	if err := rooms.Put(number, each); err != nil {
		t.Error(err)
	}
}

// All CPUs meet the same stacks at the same time: each event has its stack.
func TestStacksOnAllCPUs(t *testing.T) {
	const stacks, times = 300, 20
	img := parse(t, "stacks")
	g := start(t, img, withStacks(t, img, 1, LoadOptions{BufferSize: 16 << 20}))
	sink := newStackSink(t, g)
	runStacks(t, g, sink, func() {
		var all sync.WaitGroup
		for range runtime.NumCPU() {
			all.Go(func() {
				for range times {
					for path := range stacks {
						left(path, pathLength, func() { g.call(0) })
					}
				}
			})
		}
		all.Wait()
	})
	if len(sink.byStack) != stacks || len(sink.errors) > 0 || sink.events != stacks*times*runtime.NumCPU() {
		t.Errorf("%d events, %d stacks, errors %v", sink.events, len(sink.byStack), sink.errors)
	}
	wantNothingLost(t, g)
}

// With little memory the older stacks are forgotten. A stack that comes again is there again.
func TestStacksWithLittleMemory(t *testing.T) {
	const stacks = 10_000
	img := parse(t, "stacks")
	g := start(t, img, withStacks(t, img, 0, LoadOptions{StackMemory: 256 << 10}))
	sink := newStackSink(t, g)
	made := 0
	runStacks(t, g, sink, func() {
		for range 2 {
			for path := range stacks {
				left(path, pathLength, func() { g.call(0) })
				if made++; made%500 == 0 {
					sink.wait(made)
				}
			}
		}
	})
	if len(sink.byStack) != stacks || len(sink.errors) > 0 {
		t.Errorf("%d stacks, errors %v", len(sink.byStack), sink.errors)
	}
	if _, _, ok := g.Stacks().Append(nil, 1); ok {
		t.Error("the first stack is still there")
	}
	if lost, err := g.Stacks().Lost(); err != nil || lost != (LostStacks{Forgotten: 1}) {
		t.Errorf("lost %+v, %v", lost, err)
	}
}

// A gadget whose programs take no stack with these params has no table, and almost no memory for the kernel's.
func TestNoStacksNoTable(t *testing.T) {
	img := parse(t, "stacks")
	g := load(t, img, LoadOptions{})
	if g.Stacks() != nil || g.coll.Maps["gizmo_stacks"] != nil {
		t.Error("there is a table")
	}
	for _, name := range []string{"ig_kstack", "ig_ustack", "ig_build_id"} {
		if n := g.coll.Maps[name].MaxEntries(); n != 1 {
			t.Errorf("%s has %d entries", name, n)
		}
	}
}

// A map that the caller shares has the kernel's ids.
func TestSharedStacksStayTheKernels(t *testing.T) {
	kerneltest.RequireRoot(t)
	img := parse(t, "stacks")
	shared := kernelStacks(t)
	g := load(t, img, withStacks(t, img, 0, LoadOptions{Maps: map[string]*ebpf.Map{"ig_ustack": shared}}))
	if g.Stacks() != nil || g.coll.Maps["ig_kstack"].MaxEntries() != 10_000 {
		t.Error("the gadget uses gizmo's table")
	}
}

// kernelStacks is a map like ig_ustack.
func kernelStacks(t testing.TB) *ebpf.Map {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.StackTrace, KeySize: 4, ValueSize: 127 * 8, MaxEntries: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// If the kernel does not take the programs with gizmo's table, they keep the kernel's, and gizmo says so.
func TestStacksFallBack(t *testing.T) {
	var log bytes.Buffer
	img := parse(t, "stacks")
	o := withStacks(t, img, 0, LoadOptions{Logger: slog.New(slog.NewTextHandler(&log, nil)), stackRing: 5000}) // not whole pages
	g := load(t, img, o)
	if g.Stacks() != nil || g.coll.Maps["ig_kstack"].MaxEntries() != 10_000 || g.coll.Maps["gizmo_stack_ids"] != nil {
		t.Error("the gadget uses gizmo's table")
	}
	if !strings.Contains(log.String(), "the kernel's table of stacks") {
		t.Errorf("the log says %q", log.String())
	}
}

// A program that uses all of the stack that programs have loads. Where the kernel counts the stack of functions with it, until Linux 6.12,
// it keeps the kernel's table.
func TestStacksOfProgramsWithoutRoom(t *testing.T) {
	var log bytes.Buffer
	g := load(t, parse(t, "stacks_deep"), LoadOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if warned := strings.Contains(log.String(), "the kernel's table of stacks"); warned != (g.Stacks() == nil) {
		t.Errorf("gizmo's table: %v, the log says %q", g.Stacks() != nil, log.String())
	}
}

// Look-ups allocate nothing.
func TestStackLookupsDoNotAllocate(t *testing.T) {
	img := parse(t, "stacks")
	g := start(t, img, withStacks(t, img, 0, LoadOptions{}))
	sink := newStackSink(t, g)
	runStacks(t, g, sink, func() { left(3, pathLength, func() { g.call(0) }) })
	n := testing.AllocsPerRun(100, func() {
		if sink.buf, _, _ = g.Stacks().Append(sink.buf[:0], sink.lastUser); len(sink.buf) < pathLength {
			t.Fatal("no stack")
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A sample has the registers of the process and the stack that the kernel has walked.
func TestStackSamples(t *testing.T) {
	for way, name := range ways {
		t.Run(name, func(t *testing.T) { testStackSamples(t, way) })
	}
}

// samples are those of user stacks, by the addresses that the kernel has found.
type samples struct {
	mu    sync.Mutex
	bytes map[string][]byte
}

// take keeps a sample, and finds no callers.
func (s *samples) take(sample StackSample) (addresses []uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes[fmt.Sprint(sample.ByFramePointers)] = bytes.Clone(sample.Bytes)
	return nil, false
}

func testStackSamples(t *testing.T, way int) {
	collected := samples{bytes: make(map[string][]byte)}
	img := parse(t, "stacks")
	g := start(t, img, withStacks(t, img, way, LoadOptions{UnwindStack: collected.take}))
	sink := newStackSink(t, g)
	sink.samples = &collected
	const events = 50
	runStacks(t, g, sink, func() {
		for path := range events {
			left(path, pathLength, func() { g.call(0) })
		}
	})
	if len(sink.byStack) != events || !sink.hasKernels(way) || len(sink.errors) > 0 {
		t.Errorf("%d stacks, %d of the kernel, errors %v", len(sink.byStack), sink.kernels, sink.errors)
	}
	wantNothingLost(t, g)
}

// checkSample fails the test unless all that the kernel has found by frame pointers is in the sample of the stack.
func (s *stackSink) checkSample(id uint32, frames []uint64) {
	s.samples.mu.Lock()
	sample := s.samples.bytes[fmt.Sprint(frames)]
	s.samples.mu.Unlock()
	if len(sample) < 72 {
		s.t.Fatalf("stack %d has a sample of %d bytes", id, len(sample))
	}
	word := func(i int) uint64 { return binary.NativeEndian.Uint64(sample[8*i:]) }
	ip, sp, length, stack := word(0), word(1), word(8), sample[72:]
	if ip != frames[0] || length != uint64(len(stack)) || (sp+length)%1024 != 0 || length > 22<<10 {
		s.t.Fatalf("ip %#x, want %#x; sp %#x; length %d of %d", ip, frames[0], sp, length, len(stack))
	}
	at := 0
	for i, frame := range frames[1:] {
		n := bytes.Index(stack[at:], binary.NativeEndian.AppendUint64(nil, frame))
		if n < 0 {
			s.t.Fatalf("return address %d, %#x, is not in the sample", i, frame)
		}
		at += n + 8
	}
}

// Each stack gets the build ids of its addresses, also if there are more stacks than the map has room for.
func TestBuildIDs(t *testing.T) {
	const stacks = 3000
	img := parse(t, "stacks")
	o := withStacks(t, img, 0, LoadOptions{})
	p, _ := img.Param("collect-build-id")
	o.Params[p.Var] = image.Value{1}
	g := start(t, img, o)
	sink := newStackSink(t, g)
	sink.buildIDs = make(map[uint32]int)
	made := 0
	runStacks(t, g, sink, func() {
		for range 2 {
			for path := range stacks {
				left(path, pathLength, func() { g.call(0) })
				if made++; made%100 == 0 {
					sink.wait(made)
				}
			}
		}
	})
	without := 0
	for _, n := range sink.buildIDs {
		if n == 0 {
			without++
		}
	}
	if len(sink.buildIDs) != stacks || without > 0 {
		t.Errorf("%d of %d stacks have no build ids", without, len(sink.buildIDs))
	}
}

// The user decides how many stacks the map for build ids has room for.
func TestBuildIDsHaveRoom(t *testing.T) {
	img := parse(t, "stacks")
	o := withStacks(t, img, 0, LoadOptions{})
	p, _ := img.Param("collect-build-id")
	o.Params[p.Var] = image.Value{1}
	setParam(t, img, o.Params, "ig_build_id_max_entries", 77)
	if n := load(t, img, o).coll.Maps["ig_build_id"].MaxEntries(); n != 77 {
		t.Errorf("%d entries", n)
	}
}

// BenchmarkStack measures a system call with an event that has both stacks, by the kernel's table and by gizmo's.
func BenchmarkStack(b *testing.B) {
	for _, c := range []struct {
		name string
		o    LoadOptions
	}{{"kernel", LoadOptions{Maps: map[string]*ebpf.Map{"ig_ustack": kernelStacks(b)}}}, {"gizmo", LoadOptions{}}, {"samples", LoadOptions{UnwindStack: func(StackSample) ([]uint64, bool) { return nil, false }}}} {
		b.Run(c.name, func(b *testing.B) {
			pin(b, 0)
			img := parse(b, "stacks")
			g := start(b, img, withStacks(b, img, 1, c.o))
			b.ResetTimer()
			for i := range b.N {
				left(i%1000, pathLength, func() { g.call(0) })
			}
		})
	}
}
