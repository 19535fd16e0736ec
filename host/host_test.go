// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/clock"
)

const testTick = 4 * time.Millisecond

// fakeClocks are the clocks of a machine.
type fakeClocks struct {
	mu        sync.Mutex
	boot      time.Duration // since boot
	suspended time.Duration // of that
	offset    time.Duration // from that to Unix time
	updated   time.Duration // when the kernel's clocks were brought up to date, since boot
	reads     int           // how often all clocks were read
}

func (c *fakeClocks) read() reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads++
	return reading{boot: int64(c.boot), offset: int64(c.offset), updated: int64(c.updated)}
}

func (c *fakeClocks) lead() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(c.offset + c.suspended)
}

// pass lets time pass: ticks count from the last update.
func (c *fakeClocks) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.boot += d
	c.updated += (c.boot - c.updated) / testTick * testTick
}

func (c *fakeClocks) suspend(d time.Duration) {
	c.mu.Lock()
	c.suspended += d
	c.mu.Unlock()
	c.pass(d)
}

// set sets the wall clock.
func (c *fakeClocks) set(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += by
	c.updated = c.boot
}

// newFake returns a host with clocks of its own. It is 1000 s since boot, and 50 years since 1970.
func newFake() (*Host, *fakeClocks) {
	c := &fakeClocks{boot: 1000 * time.Second, offset: 50 * 365 * 24 * time.Hour, updated: 1000*time.Second - time.Millisecond}
	return newHost(c.read, c.lead, int64(testTick)), c
}

// wantSteps fails the test unless these are the steps, each with the sum of all before.
func wantSteps(t *testing.T, h *Host, c *fakeClocks, want ...clock.Step) {
	t.Helper()
	c.mu.Lock()
	offset := int64(c.offset)
	c.mu.Unlock()
	for i := len(want) - 1; i >= 0; i-- {
		by := want[i].Offset
		want[i].Offset = offset
		offset -= by
	}
	want = append([]clock.Step{{Offset: offset}}, want...)
	if got := h.Clock().Steps(); !slices.Equal(got, want) {
		t.Errorf("the steps are %v, want %v", got, want)
	}
}

func step(boot, by time.Duration) clock.Step {
	return clock.Step{Boot: uint64(boot), Offset: int64(by)}
}

// The host remembers when the clock was set, whenever it looks at its clocks.
func TestStepsOfTheClock(t *testing.T) {
	t.Parallel()
	h, c := newFake()
	wantSteps(t, h, c)

	c.pass(10*time.Second + 1)
	c.set(time.Hour)
	c.pass(100 * time.Microsecond)
	h.noticed(80 * time.Microsecond)
	first := step(1010*time.Second+1, time.Hour)
	wantSteps(t, h, c, first)
	h.noticed(0) // nothing has changed since
	wantSteps(t, h, c, first)

	c.pass(5 * time.Second)
	c.set(-24 * time.Hour)
	c.pass(21 * time.Millisecond) // so busy is the machine
	h.noticed(21*time.Millisecond - 50*time.Microsecond)
	second := step(1015*time.Second+100*time.Microsecond+1, -24*time.Hour)
	wantSteps(t, h, c, first, second)

	c.set(2 * time.Millisecond)
	c.pass(9 * time.Millisecond)
	h.noticed(0) // the notice came late, by an unknown time: the moment is some ticks late, and never before the step
	third := step(time.Duration(second.Boot)+29*time.Millisecond, 2*time.Millisecond)
	wantSteps(t, h, c, first, second, third)
}

// The time between reading two clocks does not count as a step. Steps that small do not add up.
func TestTinySteps(t *testing.T) {
	t.Parallel()
	h, c := newFake()
	for i := range 10 {
		c.set(time.Duration(1-2*(i%2)) * 40 * time.Microsecond)
		h.CheckClock()
		h.noticed(0)
	}
	wantSteps(t, h, c)
	for range 10 {
		c.pass(time.Second)
		c.set(10 * time.Microsecond)
		h.noticed(0)
		if off := c.offset - time.Duration(h.Clock().Last().Offset); off >= 50*time.Microsecond {
			t.Fatalf("events are dated %v off", off)
		}
	}
	if n := len(h.Clock().Steps()); n != 3 {
		t.Errorf("%d steps, want 3: at the start and for each 50 µs", n)
	}
}

// A step that nothing notices is found when events come.
func TestCheckWithoutAWatch(t *testing.T) {
	t.Parallel()
	h, c := newFake()
	h.CheckClock()
	if c.reads != 1 {
		t.Errorf("the clocks were read %d times; once at the start is enough", c.reads)
	}
	c.pass(time.Second)
	c.set(-time.Hour)
	c.pass(time.Millisecond)
	h.CheckClock()
	wantSteps(t, h, c, step(1001*time.Second, -time.Hour))
	h.CheckClock()
	if c.reads != 3 {
		t.Errorf("the clocks were read %d times, want once at the start and twice for the step", c.reads)
	}
}

// The watch knows best when the clock was set: a check waits for it, but not for ever.
func TestCheckLeavesItToTheWatch(t *testing.T) {
	t.Parallel()
	for name, comes := range map[string]bool{"it comes": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, c := newFake()
			h.watch = &clockWatch{}
			c.set(time.Hour)
			c.pass(9 * time.Millisecond)
			if comes {
				go func() {
					time.Sleep(10 * time.Millisecond)
					h.noticed(9 * time.Millisecond)
				}()
			}
			begin := time.Now()
			h.CheckClock()
			if comes {
				wantSteps(t, h, c, step(1000*time.Second, time.Hour))
			} else {
				wantSteps(t, h, c, step(1000*time.Second+8*time.Millisecond, time.Hour))
				if took := time.Since(begin); took < noticeTimeout {
					t.Errorf("it waited %v", took)
				}
			}
		})
	}
}

// A step is not lost if another one comes while a check waits for the watch.
func TestCheckAndTwoSteps(t *testing.T) {
	t.Parallel()
	h, c := newFake()
	h.watch = &clockWatch{}
	c.set(time.Hour)
	c.pass(time.Millisecond)
	go func() {
		time.Sleep(noticeTimeout / 2)
		c.pass(time.Second)
		c.set(-time.Hour)
		c.pass(time.Millisecond)
	}()
	h.CheckClock()
	time.Sleep(noticeTimeout) // for a machine on which the other step came later
	h.CheckClock()
	wantSteps(t, h, c, step(1000*time.Second, time.Hour), step(1001*time.Second+time.Millisecond, -time.Hour))
}

// A reading from before the last step that is known says nothing.
func TestOldReading(t *testing.T) {
	t.Parallel()
	h, c := newFake()
	old := c.read()
	c.pass(time.Second)
	c.set(time.Hour)
	h.noticed(0)
	h.take(&old, 0)
	wantSteps(t, h, c, step(1001*time.Second, time.Hour))
}

// The boot clock goes on while the machine is suspended, so nothing has to be done, and nothing is done at each batch.
func TestSuspend(t *testing.T) {
	t.Parallel()
	h, c := newFake()
	for range 3 {
		c.suspend(time.Hour)
		h.CheckClock()
		reads := c.reads
		h.CheckClock()
		if c.reads != reads {
			t.Error("the clocks are read again and again")
		}
	}
	wantSteps(t, h, c)
	c.suspend(time.Hour)
	c.set(-3 * time.Second) // as the network's time says
	h.CheckClock()
	wantSteps(t, h, c, step(1000*time.Second+4*time.Hour, -3*time.Second))
}

func TestCheckCostsNoAllocation(t *testing.T) {
	h := New()
	if n := testing.AllocsPerRun(1000, h.CheckClock); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCheckClock(b *testing.B) {
	h := New()
	for b.Loop() {
		h.CheckClock()
	}
}
