// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/cpus"
)

// sample is where a process was at a time.
type sample struct {
	ip, time uint64
	pid      uint32
}

// sampler takes samples of all processes in user mode.
type sampler struct{ rings []*ring }

func startSampler(t *testing.T, hertz uint64) *sampler {
	t.Helper()
	online, err := cpus.Online()
	if err != nil {
		t.Fatal(err)
	}
	s := &sampler{}
	for _, cpu := range online {
		attr := &unix.PerfEventAttr{
			Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK, Size: uint32(binary.Size(unix.PerfEventAttr{})),
			Sample: hertz, Sample_type: unix.PERF_SAMPLE_IP | unix.PERF_SAMPLE_TID | unix.PERF_SAMPLE_TIME,
			Bits:    unix.PerfBitFreq | unix.PerfBitExcludeKernel | unix.PerfBitUseClockID,
			Clockid: unix.CLOCK_BOOTTIME,
		}
		r, err := mapEvent(attr, cpu, 1<<17)
		if err != nil {
			t.Fatal(err)
		}
		s.rings = append(s.rings, r)
	}
	t.Cleanup(func() { closeRings(s.rings) })
	return s
}

// read calls each with the samples that are there, and returns how many records it could not read.
func (s *sampler) read(each func(sample)) (other int) {
	order := binary.NativeEndian
	for _, r := range s.rings {
		head, tail := atomic.LoadUint64(&r.meta.Data_head), r.meta.Data_tail
		for tail < head {
			n := uint64(order.Uint16(r.bytes(tail, recordHeader)[6:]))
			b := r.bytes(tail, n)
			if order.Uint32(b) == unix.PERF_RECORD_SAMPLE && order.Uint16(b[4:])&unix.PERF_RECORD_MISC_CPUMODE_MASK == unix.PERF_RECORD_MISC_USER {
				each(sample{ip: order.Uint64(b[8:]), pid: order.Uint32(b[16:]), time: order.Uint64(b[24:])})
			} else {
				other++
			}
			tail += n
		}
		atomic.StoreUint64(&r.meta.Data_tail, tail)
	}
	return other
}

func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// 1,000 processes a second that live for about a millisecond: at most 2 of 100 samples lie in no mapping that is known.
func TestStorm(t *testing.T) {
	tracker := openTracker(t, Options{Keep: 5 * time.Second})
	s := startSampler(t, 997)
	const rate, seconds = 1000, 10
	cmd := exec.Command("/proc/self/exe", "storm", strconv.Itoa(rate), strconv.Itoa(seconds))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	before, began := cpuTime(t), time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var all, unknown, unopened, gone, other int
	var place [1]Place
	look := func(x sample) {
		if x.pid == uint32(os.Getpid()) || x.pid == 0 {
			return
		}
		all++
		tracker.Resolve(x.pid, nil, x.time, []uint64{x.ip}, place[:])
		switch p := place[0]; {
		case p.Kind == Unknown:
			unknown++
		case p.Kind == InFile && !p.File.Opened():
			unopened++
		}
		if unix.Kill(int(x.pid), 0) != nil {
			gone++
		}
	}
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err, out.String())
			}
			running = false
		case <-time.After(20 * time.Millisecond):
		}
		other += s.read(look)
	}
	spent := cpuTime(t) - before
	t.Logf("%s processes in %v; %d samples, %d in no mapping, %d in a file that was not opened; %d of processes that were gone; %d other records",
		strings.TrimSpace(out.String()), time.Since(began).Round(time.Millisecond), all, unknown, unopened, gone, other)
	t.Logf("CPU %v = %.2f %%; %+v", spent, 100*spent.Seconds()/time.Since(began).Seconds(), tracker.Stats())
	if gone < 200 {
		t.Fatalf("%d samples, %d of processes that were gone: no storm", all, gone)
	}
	if unknown*100 > all*2 || unopened*100 > all*2 {
		t.Errorf("%d of %d samples in no known mapping, %d in files that were not opened; want at most 2 %%", unknown, all, unopened)
	}
	if lost := tracker.Stats().Lost; lost > 0 {
		t.Errorf("%d records were lost", lost)
	}
}

// BenchmarkStorm measures what following 1,000 new processes a second costs, without a look-up.
func BenchmarkStorm(b *testing.B) {
	tracker := openTracker(b, Options{Keep: 5 * time.Second})
	const rate, seconds = 1000, 5
	for b.Loop() {
		records, before, began := tracker.Stats().Records, cpuTime(b), time.Now()
		if out, err := exec.Command("/proc/self/exe", "storm", strconv.Itoa(rate), strconv.Itoa(seconds)).CombinedOutput(); err != nil {
			b.Fatal(err, string(out))
		}
		took := time.Since(began).Seconds()
		b.ReportMetric(100*(cpuTime(b)-before).Seconds()/took, "%CPU")
		b.ReportMetric(float64(tracker.Stats().Records-records)/took, "records/s")
	}
}
