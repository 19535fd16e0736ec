// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// Rows add up by stacks and labels, whatever their handles, and the kernel lies on the process.
func TestRowsAddUp(t *testing.T) {
	t.Parallel()
	user := stacks{stackOf(app, "read", "main"), stackOf(app, "read", "main"), stackOf(app, "+1234", "main")}
	s := newSource(true, user, stacks{stackOf(kernel, "vfs_read", "entry")})
	sink := bind(t, s, annotation.Profile{}, 0)
	write(t, sink, s.rows(row{comm: "a", pid: 1, user: 1, kernel: 1}, row{comm: "a", pid: 1, user: 2, kernel: 1}, row{comm: "a", pid: 2, user: 1}))
	write(t, sink, s.rows(row{comm: "a", pid: 1, user: 1, kernel: 1}, row{comm: "b", user: 3}, row{kernel: 1}, row{comm: "b"}))
	p := sink.Profile()
	want := `[no stack] [1] comm="b" pid=0
vfs_read entry [1] pid=0
read main [1] comm="a" pid=2
vfs_read entry read main [3] comm="a" pid=1
app+0x1234 main [1] comm="b" pid=0
`
	if got := describe(p); !sameLines(got, want) || p.Total(0) != 7 {
		t.Errorf("%d rows:\n%s", p.Total(0), got)
	}
	if fmt.Sprint(p.Types, p.Default, p.Name) != "[{events count}] 0samples" {
		t.Errorf("got %v, %d, %q", p.Types, p.Default, p.Name)
	}
	for _, s := range p.Samples {
		comm := ""
		if s.Labels[0].Key == commLabel {
			comm = s.Labels[0].Text
		}
		if strings.Join(s.Roots, ";") != comm {
			t.Errorf("the roots are %q, the labels %v", s.Roots, s.Labels)
		}
	}
}

func indexOf(lines []string, line string) int {
	for i := range lines {
		if lines[i] == line {
			return i
		}
	}
	return -1
}

// A return address is behind the call, and may be that of the next function. So the address of a caller is before it.
func TestAddressesOfCallers(t *testing.T) {
	t.Parallel()
	s := newSource(true, stacks{stackOf(app, "+2000", "+3000", "+0")}, stacks{stackOf(kernel, "+5000", "+6000")})
	sink := bind(t, s, annotation.Profile{}, 0)
	write(t, sink, s.rows(row{user: 1, kernel: 1}))
	if got, want := describe(sink.Profile()), "0x5000 0x5fff app+0x2000 app+0x2fff app+0x0 [1] pid=0\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What is not known is a frame, so that totals and roots are right.
func TestTruncatedStack(t *testing.T) {
	t.Parallel()
	cut := stackOf(app, "inner", "outer")
	cut.Truncated = true
	s := newSource(true, stacks{cut, {}, {Truncated: true}}, nil)
	sink := bind(t, s, annotation.Profile{}, 0)
	write(t, sink, s.rows(row{user: 1}, row{user: 2}, row{user: 3}, row{user: 77}))
	if got, want := describe(sink.Profile()), "[no stack] [3] pid=0\ninner outer [truncated] [1] pid=0\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		single   bool
		settings annotation.Profile
		want     string
	}{
		{true, annotation.Profile{}, "[{events count}] 0 [3] 0"},
		{true, annotation.Profile{Type: "calls", Unit: "calls", Name: "n"}, "[{calls calls}] 0 [3] 0"},
		{true, annotation.Profile{ValueField: "size"}, "[{events count} {size bytes}] 1 [3 1200] 0"},
		{false, annotation.Profile{ValueField: "size_raw"}, "[{size bytes}] 0 [1200] 0"},
		{true, annotation.Profile{ValueField: "delta", Type: "t", Unit: "nanoseconds"}, "[{events count} {t nanoseconds}] 1 [3 -5] 0"},
		{false, annotation.Profile{Frequency: 99}, "[{samples count} {cpu nanoseconds}] 1 [3 30303030] 10101010"},
		{false, annotation.Profile{Frequency: 99, ValueField: "size"}, "[{samples count} {cpu nanoseconds}] 1 [1200 12121212121] 10101010"},
	} {
		s := newSource(c.single, stacks{stackOf(app, "main")}, nil)
		sink := bind(t, s, c.settings, 0)
		write(t, sink, s.rows(row{user: 1, size: 1000, delta: 5}, row{user: 1, size: 200, delta: -10}, row{user: 1}))
		p := sink.Profile()
		if got := fmt.Sprint(p.Types, p.Default, p.Samples[0].Values, p.Period); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.settings, got, c.want)
		}
	}
}

// Sums stay at the ends of the range.
func TestSumsDoNotWrap(t *testing.T) {
	t.Parallel()
	s := newSource(true, stacks{stackOf(app, "main")}, nil)
	sink := bind(t, s, annotation.Profile{ValueField: "size", Frequency: 1}, 0)
	write(t, sink, s.rows(row{user: 1, size: math.MaxUint64}, row{user: 1, size: 1}))
	if got := sink.Profile().Samples[0].Values; got[0] != math.MaxInt64 || got[1] != math.MaxInt64 {
		t.Errorf("got %v", got)
	}
	if got := []int64{addTo(math.MinInt64, -1), addTo(math.MaxInt64, 1), addTo(math.MinInt64, math.MaxInt64)}; fmt.Sprint(got) != fmt.Sprint([]int64{math.MinInt64, math.MaxInt64, -1}) {
		t.Errorf("got %v", got)
	}
}

// Arrays add up, or each replaces the one before, also if it comes in parts.
func TestArrays(t *testing.T) {
	t.Parallel()
	for latest, want := range map[bool]string{false: "main [11]", true: "main [5]"} {
		s := newSource(false, stacks{stackOf(app, "main")}, nil)
		sink := bind(t, s, annotation.Profile{Latest: latest}, 0)
		write(t, sink, s.rows(row{user: 1}, row{user: 1}, row{user: 1}, row{user: 1}, row{user: 1}, row{user: 1}))
		part := s.rows(row{user: 1}, row{user: 1})
		part.Continues = true
		write(t, sink, part)
		part = s.rows(row{user: 1})
		part.Continues = true
		part.Flush = true
		write(t, sink, part)
		write(t, sink, s.rows(row{user: 1}, row{user: 1}))
		if got := describe(sink.Profile()); !strings.HasPrefix(got, want) {
			t.Errorf("latest %v: got %s, want %s", latest, got, want)
		}
	}
}

// After a batch with Flush a handle may stand for another stack, and after any batch of some sources.
func TestHandlesThatBeginAgain(t *testing.T) {
	t.Parallel()
	for _, atOnce := range []bool{false, true} {
		user := stacks{stackOf(app, "first", "main")}
		s := newSource(true, user, nil)
		sink := bind(t, s, annotation.Profile{}, 0)
		if atOnce {
			sink.ReadAtOnce()
		}
		b := s.rows(row{user: 1})
		b.Flush = !atOnce
		write(t, sink, b)
		user[0] = stackOf(app, "second", "main")
		write(t, sink, s.rows(row{user: 1}, row{user: 1}))
		if got, want := describe(sink.Profile()), "second main [2] pid=0\nfirst main [1] pid=0\n"; !sameLines(got, want) {
			t.Errorf("at once %v: got %s, want %s", atOnce, got, want)
		}
	}
}

func sameLines(a, b string) bool {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for _, line := range y {
		if indexOf(x, line) < 0 {
			return false
		}
	}
	return len(x) == len(y)
}

// books counts rows.
type books struct {
	delivered int
	lost      map[event.Cause]int
}

func (b *books) Delivered(rows int) { b.delivered += rows }
func (b *books) Lost(rows int, cause event.Cause) {
	if rows > 0 {
		b.lost[cause] += rows
	}
}

// What does not fit is counted, and all rows end up in the account.
func TestMemoryEnds(t *testing.T) {
	t.Parallel()
	const distinct, times = 500, 3
	var user stacks
	for i := range distinct {
		user = append(user, stackOf(app, fmt.Sprintf("function_%d", i), "middle", "main"))
	}
	for _, flush := range []bool{false, true} {
		for memory := 100; memory < 1<<20; memory *= 2 {
			s := newSource(true, user, nil)
			sink := bind(t, s, annotation.Profile{}, memory)
			all := &books{lost: make(map[event.Cause]int)}
			sink.Book(s.Schema, all)
			for range times {
				for i := range distinct {
					b := s.rows(row{comm: "app", pid: uint32(i % 7), user: event.Handle(i + 1)})
					b.Flush = flush
					write(t, sink, b)
				}
			}
			p := sink.Profile()
			sink.Settle(nil)
			total := int(p.Total(0))
			if total != all.delivered || total+all.lost[event.ProfileFull] != distinct*times || len(all.lost) > 1 {
				t.Errorf("%d bytes, flush %v: the profile has %d rows, %d delivered, lost: %v", memory, flush, total, all.delivered, all.lost)
			}
			if memory == 100 && total != 0 || memory == 1<<19 && total != distinct*times {
				t.Errorf("%d bytes, flush %v: the profile has %d rows", memory, flush, total)
			}
			for _, sample := range p.Samples {
				if sample.Values[0] != times && all.lost[event.ProfileFull] == 0 {
					t.Errorf("%d bytes: %v", memory, sample.Values)
				}
			}
		}
	}
}

// A profile that could not be written has delivered nothing.
func TestSettle(t *testing.T) {
	t.Parallel()
	s := newSource(true, stacks{stackOf(app, "main")}, nil)
	sink := bind(t, s, annotation.Profile{}, 0)
	all := &books{lost: make(map[event.Cause]int)}
	sink.Book(s.Schema, all)
	write(t, sink, s.rows(row{user: 1}, row{user: 1}))
	sink.Profile()
	failed := event.OutputFailed
	sink.Settle(&failed)
	sink.Settle(nil)
	if all.delivered != 0 || all.lost[event.OutputFailed] != 2 {
		t.Errorf("%+v", all)
	}
}

func TestWriteAllocatesNothing(t *testing.T) {
	s := newSource(true, stacks{stackOf(app, "main"), stackOf(app, "other", "main")}, stacks{stackOf(kernel, "entry")})
	sink := bind(t, s, annotation.Profile{ValueField: "size"}, 0)
	b := s.rows(row{comm: "a", pid: 1, user: 1, kernel: 1}, row{comm: "b", pid: 2, user: 2, size: 7})
	write(t, sink, b)
	if n := testing.AllocsPerRun(100, func() { write(t, sink, b) }); n != 0 {
		t.Errorf("%v allocations for a batch", n)
	}
}

// The sink uses about as much memory as it counts, and 20 MiB are enough for 20,000 stacks of 30 frames.
func TestMemory(t *testing.T) {
	const distinct = 20_000
	table := newLazyStacks(30, 1000)
	s := newSource(true, nil, nil)
	for i := range s.Fields {
		if f := &s.Fields[i]; strings.HasPrefix(f.Name, "ustack") {
			f.Table = table
		}
	}
	before := heapInUse()
	sink := bind(t, s, annotation.Profile{}, 0)
	all := &books{lost: make(map[event.Cause]int)}
	sink.Book(s.Schema, all)
	rows := make([]row, 0, 500)
	for i := 0; i < distinct; i += cap(rows) {
		rows = rows[:0]
		for j := range cap(rows) {
			rows = append(rows, row{comm: "app", pid: uint32(i % 16), user: event.Handle(i + j + 1)})
		}
		write(t, sink, s.rows(rows...))
	}
	if lost := sink.fold(); lost != 0 || len(all.lost) != 0 {
		t.Errorf("%d rows do not fit, and %v", lost, all.lost)
	}
	used, counted := heapInUse()-before, DefaultMemory-sink.sums.memory.left
	t.Logf("%d bytes in use, %d counted", used, counted)
	if used > counted*5/4 || used < counted/2 {
		t.Errorf("%d bytes are in use, and %d are counted", used, counted)
	}
	runtime.KeepAlive(sink)
}

func heapInUse() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// lazyStacks makes distinct stacks of some functions when they are asked for.
type lazyStacks struct {
	depth int
	calls []*symbol.Location
}

func newLazyStacks(depth, functions int) lazyStacks {
	l := lazyStacks{depth: depth}
	for i := range functions * depth {
		name := fmt.Sprintf("some_function_of_a_program_%d", i%functions)
		l.calls = append(l.calls, &symbol.Location{Module: app, Address: uint64(i) << 4, Function: &symbol.Function{Name: name, System: name}})
	}
	return l
}

func (l lazyStacks) Bytes(event.Handle) []byte { return nil }
func (l lazyStacks) Bits(event.Handle) uint64  { return 0 }
func (l lazyStacks) Stack(h event.Handle) *symbol.Stack {
	s := &symbol.Stack{}
	n := uint64(h)
	for range l.depth {
		s.Locations = append(s.Locations, l.calls[n%uint64(len(l.calls))])
		n = n*6364136223846793005 + 1442695040888963407 // Knuth's generator: stacks that have little in common
		n ^= n >> 29
	}
	return s
}

// A live run forgets the stacks of handles after some time. The profile has them all the same, also if no event comes in between.
func TestStacksThatAreForgotten(t *testing.T) {
	t.Parallel()
	table := new(symbol.Table)
	s := newSource(true, nil, nil)
	for i := range s.Fields {
		if f := &s.Fields[i]; strings.HasPrefix(f.Name, "ustack") {
			f.Table = symbol.NewText(table, symbol.Symbols, 0)
		}
	}
	sink := bind(t, s, annotation.Profile{}, 0)
	const generations = 9
	for i := range generations {
		table.Open()
		h := event.Handle(i + 1)
		table.Put(h, stackOf(app, fmt.Sprint("f", i)))
		if i%4 == 0 {
			write(t, sink, s.rows(row{comm: "app", user: h}))
		}
		if i >= 3 {
			table.DropOldest()
		}
	}
	got := describe(sink.Profile())
	for i := 0; i < generations; i += 4 {
		if want := fmt.Sprintf("f%d [1] ", i); !strings.Contains(got, want) {
			t.Errorf("the profile lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, NoStack) {
		t.Errorf("a stack is missing:\n%s", got)
	}
}
