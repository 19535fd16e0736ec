// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/cpus"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// sampling is a gadget.yaml with settings of the fixture's program, by the name of its section.
func samplingYAML(settings string) string {
	return "name: test\nprograms:\n  tick:\n    " + strings.ReplaceAll(settings, "\n", "\n    ") + "\n"
}

// Samples come from each CPU that is online, about as often as the gadget wants. (Kernels may skip a CPU
// that sleeps, so the test keeps all of them busy.)
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

// The error names events that this machine does not have. The test also checks whether it has the CPU's events.
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
	text, err := os.ReadFile("/proc/sys/kernel/perf_event_max_sample_rate")
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || most >= 1_000_000 {
		t.Fatal(most, err)
	}
	img := parseWith(t, "samples", samplingYAML(fmt.Sprintf("sampler.frequency: %d", most+1)))
	mustSay(t, refusal(t, img, LoadOptions{}), "times in a second is more than the kernel allows", fmt.Sprintf("perf_event_max_sample_rate=%d", most))
}

func TestErrorsOfSampling(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		yaml string
		want string
	}{
		{"perf: {type: software, config: cpu_clock}", `section "perf_event/tick": gadget.yaml: programs.tick.sampler.frequency: say how many times`},
		{"sampler.frequency: 49\nattach_to: cpu0", "programs.tick.attach_to: a sampling program runs on all CPUs"},
		{"sampler.frequency: 49\nperf: {type: sofware, config: cpu_clock}", `programs.tick.perf.type: unknown value "sofware"; did you mean "software"?`},
		{"sampler.frequency: 49\nperf: {config: cpu_clock}", "programs.tick.perf.type: say which type of event"},
		{"sampler.frequency: 49\nperf: {type: ../x, config: cpu_clock}", `programs.tick.perf.type: unknown value "../x"`},
		{"sampler.frequency: 49\nperf: {type: 4294967296, config: 1}", "programs.tick.perf.type: "},
		{"sampler.frequency: 49\nperf: {type: software, config: cpu_clok}", `programs.tick.perf.config: unknown value "cpu_clok"; did you mean "cpu_clock"?`},
		{"sampler.frequency: 49\nperf: {type: software, config: cycles of the moon}", "want a number, or one of cpu_clock, task_clock"},
		{"sampler.frequency: 49\nperf: {type: raw, config: cpu_cycles}", `programs.tick.perf.config: unknown value "cpu_cycles"`},
		{"sampler.frequency: 49\nperf: {type: software, config: cpu_clock, sampleType: ip|tdi}", `programs.tick.perf.sampleType: unknown value "tdi"; did you mean "tid"?`},
	} {
		err := Supported(parseWith(t, "samples", samplingYAML(c.yaml)))
		mustSay(t, err, "program on_tick: ", c.want)
	}
}

// A gadget.yaml may name the program by its function, too.
func TestKeysOfSettings(t *testing.T) {
	t.Parallel()
	img := parseWith(t, "samples", "name: x\nprograms:\n  on_tick: {sampler.frequency: 7}\n")
	if got := img.Programs[0].Settings.Sampler.Frequency; got != 7 {
		t.Errorf("frequency %d", got)
	}
	if got := img.Programs[0].Keys(); !slices.Equal(got, []string{"on_tick", "tick"}) {
		t.Errorf("keys %q", got)
	}
	if err := Supported(parseWith(t, "samples", "name: x\nprograms:\n  on_tick: {attach_to: gadget_program_disabled}\n")); err != nil {
		t.Error(err)
	}
	if got := parse(t, "minimal").Programs[0].Keys(); len(got) != 1 {
		t.Errorf("keys %q", got)
	}
}
