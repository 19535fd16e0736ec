// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

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
		p := &image.Program{Name: "p", Section: "perf_event/x", Settings: metadata.Program{Perf: c.perf, Sampler: metadata.Sampler{Frequency: 49}}}
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
	p := &image.Program{Name: "p", Section: "perf_event/x", Settings: metadata.Program{
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

// The numbers of the CPUs that are online may have holes, and CPUs may go offline meanwhile.
func TestEventsOnSomeCPUs(t *testing.T) {
	t.Parallel()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	for _, c := range []struct {
		online, gone, want []int
		fail               error
	}{
		{online: []int{0, 2, 5}, want: []int{0, 2, 5}},
		{online: []int{0, 2, 5}, gone: []int{2}, want: []int{0, 5}},
		{online: []int{3}, want: []int{3}},
		{online: []int{0, 2}, gone: []int{0, 2}, fail: unix.ENODEV},
		{online: []int{3}, gone: []int{3}, fail: unix.ENODEV},
	} {
		var opened []int
		events, err := openEvents(c.online, func(cpu int) (int, error) {
			if slices.Contains(c.gone, cpu) {
				return -1, unix.ENODEV
			}
			opened = append(opened, cpu)
			return unix.Dup(fds[0])
		})
		if !errors.Is(err, c.fail) || !slices.Equal(opened, c.want) || len(events) != len(c.want) {
			t.Errorf("%+v: opened %v, %d events, %v", c, opened, len(events), err)
		}
		if err := events.Close(); err != nil {
			t.Error(err)
		}
	}
}
