// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/perf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// event is struct event of testdata/buffer.bpf.c.
type event struct {
	Seq uint64
	Pad [6]uint64
}

const eventSize = 7 * 8

// transport is one of the two kinds of buffer that buffer.h supports.
type transport struct {
	name string
	load func(*testing.T, globals) *ebpf.Collection
	open func(*testing.T, *ebpf.Map) (drain func() [][]byte)
}

var transports = []transport{
	{"ringbuf", loadRing, openRing},
	{"perf", loadPerf, openPerf},
}

func loadRing(t *testing.T, set globals) *ebpf.Collection {
	t.Helper()
	return load(t, parse(t, "buffer"), set)
}

// loadPerf does what the loader does if the kernel has no ring buffers, or if
// the user chose perf buffers.
func loadPerf(t *testing.T, set globals) *ebpf.Collection {
	t.Helper()
	spec := parse(t, "buffer")
	for _, name := range []string{"events", "others"} {
		m := spec.Maps[name]
		m.Type, m.KeySize, m.ValueSize, m.MaxEntries = ebpf.PerfEventArray, 4, 4, 0
	}
	if set == nil {
		set = globals{}
	}
	set["gadget_force_perf_buffer"] = true
	return load(t, spec, set)
}

func openRing(t *testing.T, m *ebpf.Map) func() [][]byte {
	t.Helper()
	reader, err := ringbuf.NewReader(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	return func() [][]byte { return drainRing(t, reader) }
}

func drainRing(t *testing.T, reader *ringbuf.Reader) (records [][]byte) {
	t.Helper()
	reader.SetDeadline(time.Now())
	for {
		record, err := reader.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return records
		}
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record.RawSample)
	}
}

func openPerf(t *testing.T, m *ebpf.Map) func() [][]byte {
	t.Helper()
	reader, err := perf.NewReader(m, os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	return func() (records [][]byte) {
		reader.SetDeadline(time.Now())
		for {
			record, err := reader.Read()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return records
			}
			if err != nil {
				t.Fatal(err)
			}
			// The kernel counts here the losses that <map>_lost_samples already counts.
			if record.LostSamples == 0 {
				records = append(records, record.RawSample)
			}
		}
	}
}

// decode checks one record and returns its number. Perf records may be longer,
// because the kernel pads them.
func decode(t *testing.T, raw []byte) uint64 {
	t.Helper()
	var e event
	if _, err := binary.Decode(raw, binary.LittleEndian, &e); err != nil {
		t.Fatal(err)
	}
	for i, pad := range e.Pad {
		if pad != e.Seq+uint64(i) {
			t.Errorf("damaged record %+v", e)
		}
	}
	return e.Seq
}

// onEachTransport runs f for the ring buffer and for the perf buffer.
func onEachTransport(t *testing.T, f func(*testing.T, transport)) {
	requireKernel(t)
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) { f(t, tr) })
	}
}

func TestVerbs(t *testing.T) {
	const n = 10
	arrive := map[string]bool{"submit": true, "output": true, "discard": false}

	onEachTransport(t, func(t *testing.T, tr transport) {
		coll := tr.load(t, nil)
		drain := tr.open(t, coll.Maps["events"])
		for verb, arrives := range arrive {
			for seq := range uint64(n) {
				if runOn(t, 0, coll.Programs[verb], seq) != 0 {
					t.Fatalf("%s: event %d didn't fit", verb, seq)
				}
			}
			var got []uint64
			for _, raw := range drain() {
				got = append(got, decode(t, raw))
			}
			var want []uint64
			for seq := uint64(0); arrives && seq < n; seq++ {
				want = append(want, seq)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", verb, got, want)
			}
		}
		checkLost(t, coll.Maps["events_lost_samples"], make([]uint64, ebpf.MustPossibleCPU()))
	})
}

// A gadget may send only the filled part of a struct.
func TestOutputPart(t *testing.T) {
	onEachTransport(t, func(t *testing.T, tr transport) {
		coll := tr.load(t, nil)
		drain := tr.open(t, coll.Maps["events"])
		for _, size := range []uint64{1, 8, 20, eventSize} {
			if ret := runOn(t, 0, coll.Programs["output_part"], size, size); ret != 0 {
				t.Fatal("returned", ret)
			}
			records := drain()
			if len(records) != 1 {
				t.Fatalf("size %d: %d records", size, len(records))
			}
			// A ring buffer's is exact; perf's fills up to the next word.
			raw := records[0]
			if len(raw) < int(size) || len(raw) > int(size)+8 || raw[0] != byte(size) {
				t.Errorf("size %d: record % x", size, raw)
			}
			if tr.name == "ringbuf" && len(raw) != int(size) {
				t.Errorf("size %d: record of %d bytes", size, len(raw))
			}
		}
	})
}

// The kernel pads perf samples to whole words with old data of the buffer. buffer.h writes zeros after a
// record, so that no reader takes data of older records for a part of it.
func TestPerfPaddingIsZero(t *testing.T) {
	requireKernel(t)
	coll := loadPerf(t, nil)
	drain := openPerf(t, coll.Maps["events"])
	soil := func() { // every byte of the buffer, which has a page
		for range 2 * os.Getpagesize() / eventSize {
			runOn(t, 0, coll.Programs["output"], ^uint64(0)/2)
			drain()
		}
	}
	check := func(name string, size int, args ...uint64) {
		soil()
		if ret := runOn(t, 0, coll.Programs[name], args...); ret != 0 {
			t.Fatalf("%s: returned %d", name, ret)
		}
		records := drain()
		if len(records) != 1 || len(records[0]) < size {
			t.Fatalf("%s of %d bytes: got % x", name, size, records)
		}
		for _, b := range records[0][size:] {
			if b != 0 {
				t.Errorf("%s of %d bytes: followed by % x", name, size, records[0][size:])
				return
			}
		}
	}
	for size := range eventSize {
		check("output_part", size+1, ^uint64(0)/2, uint64(size+1))
	}
	check("output", eventSize, 1)
	check("submit", eventSize, 1)
	for _, size := range []int{1, 20, 52} {
		check(fmt.Sprintf("submit_%d", size), size, ^uint64(0)/2)
	}
}

func checkLost(t *testing.T, counter *ebpf.Map, want []uint64) {
	t.Helper()
	var got []uint64
	if err := counter.Lookup(uint32(0), &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v: lost by CPU %v, want %v", counter, got, want)
	}
}

// onlineCPUs are those that programs can be run on.
func onlineCPUs(t *testing.T) []int {
	t.Helper()
	cpus, err := kerneltest.AllowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	return cpus
}

// produced = delivered + lost, by CPU, whatever verb it was that failed.
func TestLostSamples(t *testing.T) {
	onEachTransport(t, func(t *testing.T, tr transport) {
		for _, verb := range []string{"submit", "output"} {
			t.Run(verb, func(t *testing.T) { testLostSamples(t, tr, verb) })
		}
	})
}

func testLostSamples(t *testing.T, tr transport, verb string) {
	coll := tr.load(t, nil)
	drain := tr.open(t, coll.Maps["events"])
	failed := make([]uint64, ebpf.MustPossibleCPU())
	var produced, delivered, lost uint64

	for round := range 3 {
		for _, cpu := range onlineCPUs(t) {
			for range 150 + 50*cpu + 10*round {
				failed[cpu] += uint64(runOn(t, cpu, coll.Programs[verb], produced))
				produced++
			}
		}
		delivered += uint64(len(drain()))
	}
	for _, n := range failed {
		lost += n
	}
	if lost == 0 || delivered == 0 || produced != delivered+lost {
		t.Errorf("produced %d, delivered %d, lost %d", produced, delivered, lost)
	}
	checkLost(t, coll.Maps["events_lost_samples"], failed)
	// Each buffer counts its own.
	checkLost(t, coll.Maps["others_lost_samples"], make([]uint64, len(failed)))
}

// Without a reader, a perf buffer loses all events.
func TestLostWithoutReader(t *testing.T) {
	requireKernel(t)
	coll := loadPerf(t, nil)
	want := make([]uint64, ebpf.MustPossibleCPU())
	for _, verb := range []string{"submit", "output"} {
		if runOn(t, 0, coll.Programs[verb], 1) != 1 {
			t.Errorf("%s says that it succeeded", verb)
		}
		want[0]++
	}
	checkLost(t, coll.Maps["events_lost_samples"], want)
}

// From several threads at once, each on whatever CPU it is: no count is missed.
func TestLostSamplesConcurrent(t *testing.T) {
	requireKernel(t)
	coll := loadRing(t, nil)
	prog := coll.Programs["submit"]
	type result struct{ ok, full uint64 }
	results := make(chan result)
	const workers, rounds = 4, 500

	for range workers {
		go func() {
			var r result
			for range rounds {
				switch ret, err := prog.Run(&ebpf.RunOptions{Context: [maxArgs]uint64{}}); {
				case err != nil:
					t.Error(err)
				case ret == 0:
					r.ok++
				default:
					r.full++
				}
			}
			results <- r
		}()
	}
	var sum result
	for range workers {
		r := <-results
		sum.ok, sum.full = sum.ok+r.ok, sum.full+r.full
	}
	var byCPU []uint64
	if err := coll.Maps["events_lost_samples"].Lookup(uint32(0), &byCPU); err != nil {
		t.Fatal(err)
	}
	var lost uint64
	for _, n := range byCPU {
		lost += n
	}
	got := uint64(len(openRing(t, coll.Maps["events"])()))
	if lost != sum.full || got != sum.ok || got+lost != workers*rounds {
		t.Errorf("%d read, %d counted as lost; programs said %+v", got, lost, sum)
	}
}

// Without reserve there is no scratch map.
func TestNoBufReserve(t *testing.T) {
	for _, define := range []string{"", "#define GADGET_NO_BUF_RESERVE\n"} {
		source := define + `
#include <gadget/buffer.h>
GADGET_TRACER_MAP(events, 4096);
SEC("raw_tp/x") int f(void *ctx)
{
	__u64 n = 1;
	return gadget_output_buf(ctx, &events, &n, sizeof(n));
}
char LICENSE[] SEC("license") = "GPL";`
		spec := parseSource(t, source)
		if _, has := spec.Maps["gadget_heap"]; has != (define == "") {
			t.Errorf("%q: gadget_heap is %v", define, has)
		}
	}
}

// The scratch map is as large as the largest event.
func TestMaxEventSize(t *testing.T) {
	for _, size := range []uint32{10240, 64, 20000} {
		define := fmt.Sprintf("#define GADGET_MAX_EVENT_SIZE %d\n", size)
		if size == 10240 {
			define = ""
		}
		heap := parseSource(t, define+"#include <gadget/buffer.h>\n").Maps["gadget_heap"]
		if heap.ValueSize != size || heap.MaxEntries != 1 || heap.Type != ebpf.PerCPUArray {
			t.Errorf("%q: %v", define, heap)
		}
	}
}
