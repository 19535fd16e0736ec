// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/prepare"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
)

// array has the counts of the fixtures "mapiter" and "mapiter_percpu" by id.
type array map[uint32]uint64

func (a array) sum() (n uint64) {
	for _, calls := range a {
		n += calls
	}
	return n
}

// arrayOf reads a batch. No id may be in it twice.
func arrayOf(t testing.TB, b *event.Batch) array {
	t.Helper()
	id, calls := field(t, b.Schema, "id"), field(t, b.Schema, "calls")
	a := make(array, len(b.Rows))
	for _, row := range b.Rows {
		if len(row) != int(b.Schema.Size) {
			t.Fatalf("a row of %d bytes, want %d", len(row), b.Schema.Size)
		}
		n := uint32(id.Uint(row))
		if _, ok := a[n]; ok {
			t.Errorf("id %d is in the array twice", n)
		}
		a[n] = calls.Uint(row)
	}
	return a
}

// nextArray reads one array.
func nextArray(t testing.TB, ctx context.Context, src pipeline.Source) array {
	t.Helper()
	var b event.Batch
	if err := src.Next(ctx, &b); err != nil {
		t.Fatal(err)
	}
	if len(b.Lost) > 0 {
		t.Errorf("lost %+v", b.Lost)
	}
	return arrayOf(t, &b)
}

// fetch makes the options for the only data source of the fixtures.
func fetch(f image.Fetch) LoadOptions {
	return LoadOptions{Fetch: map[string]image.Fetch{"counted": f}}
}

// asItIs makes gizmo read the image's map itself, without a second map to alternate with.
func asItIs(img *image.Image) *image.Image {
	for i := range img.Programs {
		img.Programs[i].IterMap = "counts"
	}
	return img
}

func wantArray(t testing.TB, got, want array) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestArraysAreWhatHappenedInBetween(t *testing.T) {
	for name, img := range map[string]*image.Image{"two maps": parse(t, "mapiter"), "one map": asItIs(parse(t, "mapiter"))} {
		t.Run(name, func(t *testing.T) {
			g := start(t, img, fetch(image.Fetch{Interval: 20 * time.Millisecond, Flush: true}))
			src := g.source(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for i := range 4 {
				for range i + 1 {
					g.call(7)
				}
				g.call(uint16(100 + i))
				wantArray(t, nextArray(t, ctx, src), array{7: uint64(i) + 1, uint32(100 + i): 1})
			}
			wantArray(t, nextArray(t, ctx, src), array{})
			g.call(8)
			cancel()
			wantArray(t, nextArray(t, ctx, src), array{8: 1})
			pipelinetest.WantEnd(t, src)
		})
	}
}

func TestRowsAreKeyThenValue(t *testing.T) {
	g := start(t, parse(t, "mapiter"), fetch(image.Fetch{Interval: time.Millisecond}))
	g.call(0x1234)
	var b event.Batch
	if err := g.source(t).Next(t.Context(), &b); err != nil || len(b.Rows) != 1 {
		t.Fatalf("%d rows, %v", len(b.Rows), err)
	}
	comm, err := os.ReadFile("/proc/thread-self/comm")
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	want = append(want, "\x34\x12\x00\x00id\x00\x01\x00\x00\x00\x00\x00\x00\x00"...)
	want = append(want, padded([]byte(strings.TrimSpace(string(comm))), 16)...)
	want = append(want, "\xff\xff\xff\xff\x00\x00\x00\x00"...)
	if string(b.Rows[0]) != string(want) {
		t.Errorf("got  %q\nwant %q", b.Rows[0], want)
	}
}

func TestFetchSchedule(t *testing.T) {
	for _, c := range []struct {
		name          string
		fetch         image.Fetch
		arrays        int // before the end of the context
		atEnd         bool
		most          time.Duration
		ctxEndsFirst  bool
		wantSomething bool
	}{
		{name: "count", fetch: image.Fetch{Interval: time.Millisecond, Count: 3}, arrays: 3},
		{name: "count and flush", fetch: image.Fetch{Interval: time.Millisecond, Count: 3, Flush: true}, arrays: 3},
		{name: "flush before the count", fetch: image.Fetch{Interval: time.Hour, Count: 3, Flush: true}, atEnd: true},
		{name: "no flush", fetch: image.Fetch{Interval: time.Hour}},
		{name: "at the end only", fetch: image.Fetch{Interval: image.AtEnd}, atEnd: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, parse(t, "mapiter"), fetch(c.fetch))
			src := g.source(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for range c.arrays {
				g.call(1)
				wantArray(t, nextArray(t, ctx, src), array{1: 1})
			}
			if c.fetch.Count > c.arrays || c.fetch.Count == 0 {
				g.call(2)
				time.AfterFunc(10*time.Millisecond, cancel)
			}
			if c.atEnd {
				wantArray(t, nextArray(t, ctx, src), array{2: 1})
			}
			var b event.Batch
			if err := src.Next(ctx, &b); !errors.Is(err, io.EOF) {
				t.Errorf("got %d rows and %v, want io.EOF", len(b.Rows), err)
			}
			pipelinetest.WantEnd(t, src)
		})
	}
}

// The array has the sum of the counts of all CPUs.
func TestPerCPUMapsAreSummed(t *testing.T) {
	img := parse(t, "mapiter_percpu")
	g := start(t, img, fetch(image.Fetch{Interval: image.AtEnd}))
	cpus := min(2, runtime.NumCPU())
	for cpu := range cpus {
		t.Run(fmt.Sprint("CPU ", cpu), func(t *testing.T) {
			pin(t, cpu)
			for range 10 + cpu {
				g.call(5)
			}
			g.call(uint16(100 + cpu))
		})
	}
	want := array{5: 10, 100: 1}
	if cpus > 1 {
		want = array{5: 21, 100: 1, 101: 1}
	}
	var b event.Batch
	src := g.source(t)
	if err := src.Next(ended(), &b); err != nil {
		t.Fatal(err)
	}
	wantArray(t, arrayOf(t, &b), want)
	for _, row := range b.Rows {
		read := func(name string) uint64 { return field(t, b.Schema, name).Uint(row) }
		wantCPUs := uint64(1)
		if read("id") == 5 {
			wantCPUs = uint64(cpus)
		}
		if read("cpus") != wantCPUs || read("pid") != uint64(os.Getpid()) || read("seen") != 1 {
			t.Errorf("id %d: cpus %d, pid %d, seen %d", read("id"), read("cpus"), read("pid"), read("seen"))
		}
	}
	pipelinetest.WantEnd(t, src)
}

// One program uses two maps, and each alternates independently; one of them is an LRU map. The function
// that uses them is called by pointer.
func TestTwoMapsInOneProgram(t *testing.T) {
	g := start(t, parse(t, "mapiter_two"), LoadOptions{Fetch: map[string]image.Fetch{
		"ids": {Interval: time.Millisecond, Flush: true}, "oddness": {Interval: 20 * time.Millisecond, Flush: true},
	}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	totals := make(map[string]array)
	var lock sync.Mutex
	var wg sync.WaitGroup
	for _, src := range g.Sources() {
		if src.Schemas()[0].Single {
			continue
		}
		wg.Go(func() {
			total := make(array)
			var b event.Batch
			for src.Next(ctx, &b) == nil {
				for id, n := range arrayOf(t, &b) {
					total[id] += n
				}
			}
			lock.Lock()
			defer lock.Unlock()
			totals[src.Schemas()[0].Name] = total
		})
	}
	want := map[string]array{"ids": make(array), "oddness": make(array)}
	for i := range 3000 {
		id := uint32(i % 7)
		g.call(uint16(id))
		want["ids"][id]++
		want["oddness"][id%2]++
		if i%100 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	if err := g.Detach(); err != nil {
		t.Fatal(err)
	}
	cancel()
	wg.Wait()
	if fmt.Sprint(totals) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", totals, want)
	}
	if l := len(drain(t, g.Sources()[0]).rows); l == 0 {
		t.Error("the buffer beside the maps is empty")
	}
}

// An entry that does not fit into the map is a loss, if the gadget counts it.
func TestFullMapIsALoss(t *testing.T) {
	img := parse(t, "mapiter")
	o := fetch(image.Fetch{Interval: time.Millisecond})
	o.Params = make(map[string]image.Value)
	setParam(t, img, o.Params, "counts_max_entries", 4)
	g := start(t, img, o)
	for id := range uint16(50) {
		g.call(id)
	}
	var b event.Batch
	if err := g.source(t).Next(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	var lost uint64
	for _, l := range b.Lost {
		lost += l.Count
	}
	if got := arrayOf(t, &b).sum(); got < 4 || got+lost != 50 {
		t.Errorf("%d calls counted, %d lost of 50", got, lost)
	}
	if wantArray(t, nextArray(t, t.Context(), g.source(t)), array{}); t.Failed() {
		t.Error("a loss was told twice")
	}
}

// A program that is too long to be there twice is loaded as it is.
func TestTooLongForTwoMaps(t *testing.T) {
	o := fetch(image.Fetch{Interval: time.Millisecond})
	o.edit = func(spec *ebpf.CollectionSpec) {
		p := spec.Programs["gt_mapiter"]
		first := p.Instructions[0]
		padding := slices.Repeat(asm.Instructions{asm.Mov.Reg(asm.R1, asm.R1)}, 33_000)
		padding[0] = btf.WithFuncMetadata(padding[0], btf.FuncMetadata(&first)).WithSymbol(first.Symbol()).WithSource(first.Source())
		p.Instructions[0] = btf.WithFuncMetadata(first, nil).WithSymbol("")
		p.Instructions = append(padding, p.Instructions...)
	}
	g := start(t, parse(t, "mapiter"), o)
	if g.alternates("counts") {
		t.Error("there are two maps")
	}
	g.call(3)
	wantArray(t, nextArray(t, t.Context(), g.source(t)), array{3: 1})
}

// If a gadget does not load, the error is about the program as its author wrote it.
func TestErrorIsAboutTheOriginal(t *testing.T) {
	kerneltest.RequireRoot(t)
	never := func(spec *ebpf.CollectionSpec) {
		p := spec.Programs["gt_mapiter"]
		p.Instructions = append(p.Instructions, asm.Instruction{OpCode: asm.Return().OpCode}.WithSymbol("never"))
	}
	img := parse(t, "mapiter")
	_, err := Load(img, &LoadOptions{edit: never, Params: busy(t, img)})
	var verifier *VerifierError
	if !errors.As(err, &verifier) || strings.Contains(fmt.Sprint(verifier.Log), prepare.SecondSuffix) {
		t.Errorf("got %v", err)
	}
}

// Where nothing happens to a map while it is read, there need not be two.
func TestOneMapIsEnough(t *testing.T) {
	for name, c := range map[string]struct {
		img  *image.Image
		f    image.Fetch
		want int
	}{
		"interval":           {parse(t, "mapiter"), image.Fetch{}, 2},
		"at the end":         {parse(t, "mapiter"), image.Fetch{Interval: image.AtEnd}, 1},
		"somebody else's":    {asItIs(parse(t, "mapiter")), image.Fetch{}, 1},
		"per CPU":            {parse(t, "mapiter_percpu"), image.Fetch{}, 2},
		"per CPU at the end": {parse(t, "mapiter_percpu"), image.Fetch{Interval: image.AtEnd}, 1},
	} {
		g := load(t, c.img, fetch(c.f))
		if got := g.alternates("counts"); got != (c.want == 2) {
			t.Errorf("%s: two maps: %v, want %d", name, got, c.want)
		}
	}
}

// The defaults of a map iterator, and how annotations change them.
func TestFetchOfAMap(t *testing.T) {
	t.Parallel()
	for yaml, want := range map[string]image.Fetch{
		"":                             {},
		"fetch-interval: 5s":           {Interval: 5 * time.Second},
		"fetch-interval: 0":            {Interval: image.AtEnd},
		"fetch-count: 3":               {Count: 3},
		"ebpf.map.flush-on-stop: true": {Flush: true},
	} {
		if yaml != "" {
			yaml = "name: m\ndatasources:\n  counted:\n    annotations:\n      " + yaml + "\n"
		}
		d := &parseWith(t, "mapiter", yaml).DataSources[0]
		if got := (&LoadOptions{}).fetchOf(d); got != want {
			t.Errorf("%q: got %+v, want %+v", yaml, got, want)
		}
		o := fetch(image.Fetch{Count: 7})
		if got := o.fetchOf(d); got != (image.Fetch{Count: 7}) {
			t.Errorf("%q: got %+v for what the caller says", yaml, got)
		}
	}
}

// hammer starts threads that make calls until stop: with one id that all use, and some that only one uses.
func hammer(r *running, threads int, stop *atomic.Bool) *sync.WaitGroup {
	var wg sync.WaitGroup
	for i := range threads {
		wg.Go(func() {
			runtime.LockOSThread()
			for n := uint16(0); !stop.Load(); n++ {
				r.call(1)
				r.call(uint16(i+1)<<8 | n&0x1f)
			}
		})
	}
	return &wg
}

// emptied is the result of emptying a map again and again while programs write to it.
type emptied struct {
	total    array
	arrays   int
	torn     int // rows with one half older than the other
	produced uint64
}

func emptyUnderLoad(t *testing.T, img *image.Image) (e emptied) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8)) // the threads never pause
	o := fetch(image.Fetch{Interval: time.Millisecond, Flush: true})
	o.Params = make(map[string]image.Value)
	setParam(t, img, o.Params, "dawdle", 200)
	g := start(t, img, o)
	src := g.source(t)
	var stop atomic.Bool
	threads := hammer(g, 3, &stop)
	defer threads.Wait()
	defer stop.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	e.total = make(array)
	negative := field(t, src.Schemas()[0], "negative")
	begin := time.Now()
	for b := (event.Batch{}); ; e.arrays++ {
		if e.arrays >= 20 && time.Since(begin) > 1500*time.Millisecond && !stop.Swap(true) {
			threads.Wait()
			cancel()
		}
		err := src.Next(ctx, &b)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for id, calls := range arrayOf(t, &b) {
			e.total[id] += calls
		}
		for _, row := range b.Rows {
			if uint32(negative.Uint(row)) != -uint32(field(t, b.Schema, "calls").Uint(row)) {
				e.torn++
			}
		}
	}
	e.produced = sum(produced(t, g))
	return e
}

// Each count of a program is in exactly one array, however often the map is emptied and however long
// programs use an entry.
func TestNothingIsLostOrCountedTwice(t *testing.T) {
	e := emptyUnderLoad(t, parse(t, "mapiter"))
	t.Logf("%d calls in %d arrays", e.produced, e.arrays)
	if got := e.total.sum(); got != e.produced || e.torn > 0 {
		t.Errorf("the arrays have %d calls, %d were made; %d rows are torn", got, e.produced, e.torn)
	}
}

func TestOneMapCountsNothingTwice(t *testing.T) {
	e := emptyUnderLoad(t, asItIs(parse(t, "mapiter")))
	t.Logf("%d calls in %d arrays: %d lost, %d rows torn", e.produced, e.arrays, e.produced-e.total.sum(), e.torn)
	if got := e.total.sum(); got > e.produced {
		t.Errorf("the arrays have %d calls, %d were made", got, e.produced)
	}
}

// entries is the size of the maps of which the cost is measured.
const entries = 100_000

// filler puts entries into the map that the programs of a gadget would.
type filler struct {
	g            *running
	keys, values []byte
}

func newFiller(t testing.TB, o LoadOptions) *filler {
	t.Helper()
	img := parse(t, "mapiter")
	o.Params = make(map[string]image.Value)
	setParam(t, img, o.Params, "counts_max_entries", entries)
	f := &filler{g: load(t, img, o)}
	m := f.g.coll.Maps["counts"]
	f.keys, f.values = make([]byte, entries*m.KeySize()), make([]byte, entries*m.ValueSize())
	for i := range entries {
		binary.LittleEndian.PutUint32(f.keys[i*int(m.KeySize()):], uint32(i))
		binary.LittleEndian.PutUint64(f.values[i*int(m.ValueSize()):], uint64(i))
	}
	return f
}

func (f *filler) fill(t testing.TB) {
	t.Helper()
	var now uint32
	if err := f.g.coll.Maps["counts"+prepare.SelectorSuffix].Lookup(uint32(0), &now); err != nil {
		t.Fatal(err)
	}
	m := f.g.coll.Maps[[]string{"counts", "counts" + prepare.SecondSuffix}[now]]
	for i := range entries {
		key, value := f.keys[i*int(m.KeySize()):][:m.KeySize()], f.values[i*int(m.ValueSize()):][:m.ValueSize()]
		if err := m.Put(key, value); err != nil {
			t.Fatal(err)
		}
	}
}

// threadTime returns the CPU time of this thread: other busy threads affect it less than they affect the
// time on the clock.
func threadTime(t testing.TB) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// Reading a map of 100,000 entries takes less than 100 ms, of which 20 are for waiting, and allocates
// nothing for an entry, and each is there once.
func TestManyEntries(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f := newFiller(t, fetch(image.Fetch{Interval: time.Microsecond}))
	src := f.g.source(t)
	var b event.Batch
	var before, after runtime.MemStats
	fastest(t, 80*time.Millisecond, func() time.Duration {
		f.fill(t)
		begin, used := time.Now(), threadTime(t)
		if err := src.Next(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		used = threadTime(t) - used
		t.Logf("%v, %v of it on the CPU", time.Since(begin), used)
		return used
	})
	if a := arrayOf(t, &b); len(a) != entries || a.sum() != entries*(entries-1)/2 {
		t.Errorf("%d entries with a sum of %d", len(a), a.sum())
	}
	f.fill(t)
	runtime.ReadMemStats(&before)
	err := src.Next(t.Context(), &b)
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; err != nil || n > 100 {
		t.Errorf("%d allocations for %d entries, %v", n, entries, err)
	}
}

func BenchmarkMapIterator(b *testing.B) {
	f := newFiller(b, fetch(image.Fetch{Interval: time.Microsecond}))
	src := f.g.source(b)
	var batch event.Batch
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		f.fill(b)
		b.StartTimer()
		if err := src.Next(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entries, "ns/entry")
}

// alternates reports whether the programs use a map alternately with a second one.
func (r *running) alternates(name string) bool { return r.coll.Maps[name+prepare.SecondSuffix] != nil }
