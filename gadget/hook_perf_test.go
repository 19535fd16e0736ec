// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/cpus"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// sampling is a gadget.yaml with settings of the fixture's program, by the name of its section.
func samplingYAML(settings string) string {
	return "name: test\nprograms:\n  tick:\n    " + strings.ReplaceAll(settings, "\n", "\n    ") + "\n"
}

// Samples come from each CPU that is online, about as often as was asked for. (Kernels may leave out a
// CPU that sleeps, so none does here.)
func TestPerfEvent(t *testing.T) {
	kerneltest.RequireRoot(t)
	online, err := cpus.Online()
	if err != nil {
		t.Fatal(err)
	}
	for i := range online {
		keepBusy(t, i)
	}
	img := parseWith(t, "samples", samplingYAML("sampler.frequency: 100"))
	g := start(t, img, LoadOptions{})
	const time100 = 500 * time.Millisecond
	time.Sleep(time100)
	if err := g.Detach(); err != nil {
		t.Fatal(err)
	}
	samples := make(map[int]int)
	for _, row := range drain(t, g.source(t)).rows {
		samples[int(binary.LittleEndian.Uint32(row))]++
	}
	if got := slices.Sorted(maps.Keys(samples)); !slices.Equal(got, online) {
		t.Errorf("samples of the CPUs %v, want %v", got, online)
	}
	for cpu, n := range samples {
		if n < 5 || n > 100 { // 50, but a machine may be slow, or busy with others
			t.Errorf("CPU %d: %d samples in %v, at 100 a second", cpu, n, time100)
		}
	}
	time.Sleep(50 * time.Millisecond)
	if n := len(drain(t, g.source(t)).rows); n > 0 {
		t.Errorf("%d samples after the program was detached", n)
	}
}

// keepBusy gives a CPU, the n-th of those that the test may run on, something to do until the test ends.
func keepBusy(t *testing.T, n int) {
	t.Helper()
	ready, stop, stopped := make(chan struct{}), new(atomic.Bool), make(chan struct{})
	go func() {
		defer close(stopped)
		_, unpin := pinThread(t, n)
		defer unpin()
		for close(ready); !stop.Load(); {
		}
	}()
	<-ready
	t.Cleanup(func() {
		stop.Store(true)
		<-stopped
	})
}

// Events that this machine lacks are told of. Whether it has those of the CPU is asked here, too.
func TestPerfEventOfTheCPU(t *testing.T) {
	kerneltest.RequireRoot(t)
	attr := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_HARDWARE, Config: unix.PERF_COUNT_HW_CPU_CYCLES, Size: unix.PERF_ATTR_SIZE_VER1,
		Sample: 99, Bits: unix.PerfBitFreq | unix.PerfBitDisabled,
	}
	fd, err := unix.PerfEventOpen(&attr, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)
	img := parseWith(t, "samples", samplingYAML("sampler.frequency: 99\nperf: {type: hardware, config: cpu_cycles}"))
	if err == nil {
		unix.Close(fd)
		start(t, img, LoadOptions{})
		return
	}
	mustSay(t, refusal(t, img, LoadOptions{}), `program on_tick: perf_event/tick: this machine has no event "hardware cpu_cycles"`, err.Error())
}

func TestPerfEventTooOften(t *testing.T) {
	kerneltest.RequireRoot(t)
	most, err := readNumber("/proc/sys/kernel/perf_event_max_sample_rate")
	if err != nil || most >= 1_000_000 {
		t.Fatal(most, err)
	}
	img := parseWith(t, "samples", samplingYAML(fmt.Sprintf("sampler.frequency: %d", most+1)))
	mustSay(t, refusal(t, img, LoadOptions{}), "times in a second is more than the kernel allows", fmt.Sprintf("perf_event_max_sample_rate=%d", most))
}

func TestSampling(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		perf metadata.Perf
		want sampling
	}{
		{metadata.Perf{}, sampling{kind: 1, config: 0, sample: 1 << 10}},
		{metadata.Perf{Type: "software", Config: "count_sw_cpu_clock", SampleType: "sample_raw"}, sampling{kind: 1, config: 0, sample: 1 << 10}},
		{metadata.Perf{Type: "PERF_TYPE_SOFTWARE", Config: "PERF_COUNT_SW_PAGE_FAULTS_MAJ", SampleType: "PERF_SAMPLE_IP"}, sampling{kind: 1, config: 6, sample: 1}},
		{metadata.Perf{Type: "software", Config: "context-switches", SampleType: "ip | tid|callchain"}, sampling{kind: 1, config: 3, sample: 1 | 2 | 1<<5}},
		{metadata.Perf{Type: "hardware", Config: "count_hw_branch_misses"}, sampling{kind: 0, config: 5, sample: 1 << 10}},
		{metadata.Perf{Type: "raw", Config: "0x1c2"}, sampling{kind: 4, config: 0x1c2, sample: 1 << 10}},
		{metadata.Perf{Type: "hw_cache", Config: "65536", SampleType: "0x400"}, sampling{kind: 3, config: 65536, sample: 1 << 10}},
		{metadata.Perf{Type: "7", Config: "18446744073709551615"}, sampling{kind: 7, config: 1<<64 - 1, sample: 1 << 10}},
	} {
		p := &Program{Name: "p", Section: "perf_event/x", settings: metadata.Program{Perf: c.perf, Sampler: metadata.Sampler{Frequency: 49}}}
		got, err := samplingOf(p)
		if err != nil {
			t.Errorf("%+v: %v", c.perf, err)
			continue
		}
		if got.kind != c.want.kind || got.config != c.want.config || got.sample != c.want.sample || got.frequency != 49 || got.source != "" {
			t.Errorf("%+v: got %+v, want %+v", c.perf, got, c.want)
		}
	}
}

// An event source of sysfs can be named, too.
func TestSamplingOfSource(t *testing.T) {
	t.Parallel()
	p := &Program{Name: "p", Section: "perf_event/x", settings: metadata.Program{
		Perf: metadata.Perf{Type: "tracepoint", Config: "317"}, Sampler: metadata.Sampler{Frequency: 1},
	}}
	s, err := samplingOf(p)
	if err != nil {
		t.Fatal(err)
	}
	attr, err := s.attr()
	if err != nil || attr.Type != unix.PERF_TYPE_TRACEPOINT || attr.Config != 317 {
		t.Errorf("got %+v, %v", attr, err)
	}
}

func TestErrorsOfSampling(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		yaml string
		want string
	}{
		{"perf: {type: software, config: cpu_clock}", `section "perf_event/tick": gadget.yaml: programs.tick.sampler.frequency: say how many times`},
		{"sampler.frequency: 49\nattach_to: cpu0", "programs.tick.attach_to: samples are attached to all CPUs"},
		{"sampler.frequency: 49\nperf: {type: sofware, config: cpu_clock}", `programs.tick.perf.type: unknown value "sofware"; did you mean "software"?`},
		{"sampler.frequency: 49\nperf: {config: cpu_clock}", "programs.tick.perf.type: say which type of event"},
		{"sampler.frequency: 49\nperf: {type: ../x, config: cpu_clock}", `programs.tick.perf.type: unknown value "../x"`},
		{"sampler.frequency: 49\nperf: {type: 4294967296, config: 1}", "programs.tick.perf.type: "},
		{"sampler.frequency: 49\nperf: {type: software, config: cpu_clok}", `programs.tick.perf.config: unknown value "cpu_clok"; did you mean "cpu_clock"?`},
		{"sampler.frequency: 49\nperf: {type: software, config: cycles of the moon}", "known are numbers and cpu_clock, task_clock"},
		{"sampler.frequency: 49\nperf: {type: raw, config: cpu_cycles}", `programs.tick.perf.config: unknown value "cpu_cycles"`},
		{"sampler.frequency: 49\nperf: {type: software, config: cpu_clock, sampleType: ip|tdi}", `programs.tick.perf.sampleType: unknown value "tdi"; did you mean "tid"?`},
	} {
		err := parseWith(t, "samples", samplingYAML(c.yaml)).Supported()
		mustSay(t, err, "program on_tick: ", c.want)
	}
}

// A gadget.yaml may name the program by its function, too.
func TestKeysOfSettings(t *testing.T) {
	t.Parallel()
	img := parseWith(t, "samples", "name: x\nprograms:\n  on_tick: {sampler.frequency: 7}\n")
	if got := img.Programs[0].settings.Sampler.Frequency; got != 7 {
		t.Errorf("frequency %d", got)
	}
	if got := img.Programs[0].Keys(); !slices.Equal(got, []string{"on_tick", "tick"}) {
		t.Errorf("keys %q", got)
	}
	if err := parseWith(t, "samples", "name: x\nprograms:\n  on_tick: {attach_to: gadget_program_disabled}\n").Supported(); err != nil {
		t.Error(err)
	}
	if got := parse(t, "minimal").Programs[0].Keys(); len(got) != 1 {
		t.Errorf("keys %q", got)
	}
}
