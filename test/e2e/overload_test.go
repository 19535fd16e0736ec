// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// The tests of this file count at the source: the ledger must agree with the workload's calls and with the events
// that a reader got.

// loss is one of the ledger's losses. cpu is -1 if the loss has no CPU.
type loss struct {
	cpu   int
	cause string
}

var lossLine = regexp.MustCompile(`(?m)^gizmo: open: +(\d+) lost(?: on CPU (\d+))?: (.+)$`)

// lossesOf reads the losses at the end of a run.
func lossesOf(p *process) map[loss]int {
	losses := make(map[loss]int)
	for _, m := range lossLine.FindAllStringSubmatch(p.err.String(), -1) {
		l := loss{cpu: -1, cause: m[3]}
		if m[2] != "" {
			l.cpu, _ = strconv.Atoi(m[2])
		}
		losses[l], _ = strconv.Atoi(m[1])
	}
	return losses
}

const (
	bufferFull    = "buffer full"
	outputTooSlow = "output too slow"
)

// sumBy adds up the losses by one cause.
func sumBy(losses map[loss]int, cause string) (n int) {
	for l, count := range losses {
		if l.cause == cause {
			n += count
		}
	}
	return n
}

// lazyReader reads slowly from a pipe, until the test makes it hurry.
type lazyReader struct {
	from  *os.File
	hurry atomic.Bool
	text  bytes.Buffer
	ended chan error
}

// lazyPace is how many bytes it reads in a millisecond: a twentieth of what a storm writes.
const lazyPace = 2 << 10

// newLazyReader returns the pipe's end to write to as well.
func newLazyReader(t testing.TB) (*lazyReader, *os.File) {
	t.Helper()
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		from.Close()
		to.Close()
	})
	r := &lazyReader{from: from, ended: make(chan error, 1)}
	go func() { r.ended <- r.read() }()
	return r, to
}

func (r *lazyReader) read() error {
	for {
		n, err := io.CopyN(&r.text, r.from, lazyPace)
		if err == io.EOF || n == 0 && err != nil {
			return nil
		}
		if !r.hurry.Load() {
			time.Sleep(time.Millisecond)
		}
	}
}

// lines returns all that was written, once the writer has ended. Each line must be whole.
func (r *lazyReader) lines(t testing.TB) []string {
	t.Helper()
	r.hurry.Store(true)
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
	lines := strings.SplitAfter(r.text.String(), "\n")
	lines = lines[:len(lines)-1]
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Fatalf("this is no event: %q", line)
		}
	}
	return lines
}

// By default a pipe that is slower than the events loses events: gizmo counts each of them, and each event that
// a filter dropped, and the reader gets whole lines.
func TestSlowPipeDropsAndCounts(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, shards := range []string{"1", "2"} {
		t.Run("shards "+shards, func(t *testing.T) {
			const good, bad = 25_000, 5_000
			s := startStorm(t)
			reader, pipe := newLazyReader(t)
			// A buffer that holds them all: it is the pipe that takes too little.
			g := start(t, setup{out: pipe}, "run", "trace_open", "-o", "json", "--pid", s.pid(), "-F", "fname==/proc/version",
				"--slow-output", "drop", "--buffer-size", "33554432", "--shards", shards, "--fail-on-loss", "-v")
			pipe.Close()
			g.waitAttached(t)
			s.open(t, good, "/proc/version")
			s.open(t, bad, "/proc/nonexistent/file")
			s.open(t, good, "/proc/version")
			g.signal(t, syscall.SIGINT)
			delivered := len(reader.lines(t))
			g.wantExit(t, 3)
			t.Log(lossesOf(g))

			produced, filtered := len(s.cpus)*(good+bad+good), len(s.cpus)*bad
			want := account{produced, delivered, filtered, produced - delivered - filtered}
			if got := ledgerOf(t, g); got != want {
				t.Errorf("the ledger says %+v, want %+v", got, want)
			}
			if want := map[loss]int{{-1, outputTooSlow}: want.lost}; !maps.Equal(lossesOf(g), want) {
				t.Errorf("lost %v, want %v", lossesOf(g), want)
			}
			if delivered < 100 || want.lost < 100 {
				t.Errorf("%d events delivered, %d lost: that was no slow pipe", delivered, want.lost)
			}
			g.wantErr(t, "gizmo: warning: open: ", " events lost (output too slow)\n")
		})
	}
}

// With --slow-output block the buffer fills up instead, and it is there that events are lost.
func TestSlowPipeBlocks(t *testing.T) {
	kerneltest.RequireRoot(t)
	for name, c := range map[string]struct {
		size  string
		loses bool
	}{
		"small buffer": {"65536", true},
		"large buffer": {"33554432", false},
	} {
		t.Run(name, func(t *testing.T) {
			const each = 20_000
			s := startStorm(t)
			reader, pipe := newLazyReader(t)
			g := start(t, setup{out: pipe}, "run", "trace_open", "-o", "json", "--pid", s.pid(),
				"--slow-output", "block", "--buffer-size", c.size, "-v")
			pipe.Close()
			g.waitAttached(t)
			s.open(t, each, "/proc/version")
			g.signal(t, syscall.SIGINT)
			delivered := len(reader.lines(t))
			g.wantExit(t, 0)
			t.Log(delivered, "delivered", lossesOf(g))

			produced := len(s.cpus) * each
			want := account{produced: produced, delivered: delivered, lost: produced - delivered}
			if got := ledgerOf(t, g); got != want {
				t.Errorf("the ledger says %+v, want %+v", got, want)
			}
			if n := sumBy(lossesOf(g), bufferFull); n != want.lost {
				t.Errorf("lost %v, want all %d by a full buffer", lossesOf(g), want.lost)
			}
			if loses := want.lost > 0; loses != c.loses || delivered < 100 {
				t.Errorf("%d events delivered, %d lost", delivered, want.lost)
			}
		})
	}
}

// A gizmo that is stopped while all processors make events, and then continued, accounts for each
// event, by the processor on which it happened.
func TestStoppedInAStorm(t *testing.T) {
	kerneltest.RequireRoot(t)
	for name, flags := range map[string][]string{
		"one ring": {"--shards", "1"},
		"shards":   {"--shards", "2"},
		"sorted":   {"--sort", "timestamp_raw", "--sort-window", "100ms"},
	} {
		t.Run(name, func(t *testing.T) {
			const before, storming, after = 20, 120_000, 30
			s := startStorm(t)
			g := start(t, setup{}, append([]string{"run", "trace_open", "-o", "json", "--fields", "proc.tid", "--pid", s.pid(),
				"--buffer-size", "16384", "-v"}, flags...)...)
			g.waitAttached(t)
			s.open(t, before, "/proc/version")
			s.begin(t, storming, "/proc/version")
			time.Sleep(100 * time.Millisecond)
			g.stop(t)
			time.Sleep(time.Second)
			g.signal(t, syscall.SIGCONT)
			s.open(t, after, "/proc/version")
			g.interrupt(t)

			got := deliveredByCPU(t, g, s)
			for l, n := range lossesOf(g) {
				if l.cause != bufferFull {
					t.Errorf("%d lost by %s", n, l.cause)
				}
				got[l.cpu] += n
			}
			const each = before + storming + after
			for _, cpu := range s.cpus {
				if got[cpu] != each {
					t.Errorf("CPU %d: %d events delivered or lost, want %d", cpu, got[cpu], each)
				}
			}
			a := ledgerOf(t, g)
			t.Logf("%+v", a)
			if a.produced != each*len(s.cpus) || a.produced != a.delivered+a.lost || a.delivered < before || a.lost < storming/100 {
				t.Errorf("the ledger says %+v of %d events", a, each*len(s.cpus))
			}
		})
	}
}

// stop sends SIGSTOP and waits until it has its effect.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGSTOP)
	eventually(t, "stopped", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		return err == nil && bytes.Contains(status, []byte("\nState:\tT"))
	})
}

// deliveredByCPU counts the events on a run's output, which are all of the threads' ids, by the processor
// on which they happened.
func deliveredByCPU(t *testing.T, g *process, s *storm) map[int]int {
	t.Helper()
	lines := make(map[string]int)
	for line := range strings.Lines(g.out.String()) {
		lines[line]++
	}
	delivered := make(map[int]int)
	for line, n := range lines {
		for _, e := range parseEvents(t, line) {
			cpu, ok := s.cpus[e.get("proc.tid")]
			if !ok {
				t.Fatalf("an event of an unknown thread: %s", e)
			}
			delivered[cpu] += n
		}
	}
	return delivered
}

// The last that happens is a loss. While the run goes on gizmo reports it soon, and at its end it is in the
// ledger, with nothing to follow it.
func TestLastLossIsToldOf(t *testing.T) {
	kerneltest.RequireRoot(t)
	for name, interruptAtOnce := range map[string]bool{"while it runs": false, "at the end": true} {
		t.Run(name, func(t *testing.T) {
			const opened = 3000
			o := startOpener(t)
			g := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", o.pid(), "--buffer-size", "4096", "--fail-on-loss", "-v")
			g.waitAttached(t)
			g.stop(t)
			o.open(t, opened, "/proc/version")
			if interruptAtOnce {
				g.signal(t, syscall.SIGINT)
			}
			g.signal(t, syscall.SIGCONT)
			if !interruptAtOnce {
				eventually(t, "warned of the loss", func() bool { return warning.MatchString(g.err.String()) })
				g.signal(t, syscall.SIGINT)
			}
			g.wantExit(t, 3)
			delivered := len(parseEvents(t, g.out.String()))
			want := account{produced: opened, delivered: delivered, lost: opened - delivered}
			t.Logf("%+v", want)
			if got := ledgerOf(t, g); got != want || delivered == 0 || delivered > opened/10 {
				t.Errorf("the ledger says %+v, want %+v", got, want)
			}
			g.wantErr(t, fmt.Sprintf("gizmo: warning: open: %d events lost (buffer full)\n", want.lost))
		})
	}
}

// A run that is killed in a storm leaves nothing behind, and the next run counts from zero.
func TestKilledInAStorm(t *testing.T) {
	kerneltest.RequireRoot(t)
	const storming, opened = 60_000, 5000
	s, before := startStorm(t), findLeftovers(t)
	g := start(t, setup{}, "run", "trace_open", "-o", "json", "--fields", "proc.tid", "--pid", s.pid(), "--buffer-size", "16384")
	held := g.waitAttached(t)
	s.begin(t, storming, "/proc/version")
	eventually(t, "events come out", func() bool { return g.out.Len() > 0 })
	g.signal(t, syscall.SIGKILL)
	g.wait(t)
	wantGone(t, held)
	before.wantSame(t)

	s.open(t, 0, "/") // the storm has passed
	g = start(t, setup{}, "run", "trace_open", "-o", "json", "--fields", "proc.tid", "--pid", s.pid(), "-v")
	held = g.waitAttached(t)
	s.open(t, opened, "/proc/version")
	g.interrupt(t)
	all := opened * len(s.cpus)
	if got, want := ledgerOf(t, g), (account{produced: all, delivered: all}); got != want {
		t.Errorf("the ledger of the second run says %+v, want %+v", got, want)
	}
	for cpu, n := range deliveredByCPU(t, g, s) {
		if n != opened {
			t.Errorf("%d events came of CPU %d, want %d", n, cpu, opened)
		}
	}
	wantGone(t, held)
}
