// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// spinner is a process that does nothing but use a CPU.
type spinner struct{ *process }

// startSpinner starts one that is stopped.
func startSpinner(t *testing.T) spinner {
	t.Helper()
	s := spinner{startProgram(t, setup{}, []string{"/bin/sh", "-c", "kill -STOP $$; while :; do :; done"})}
	eventually(t, "the process is stopped", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
		return err == nil && strings.Contains(string(stat), ") T ")
	})
	return s
}

func (s spinner) pid() string { return strconv.Itoa(s.cmd.Process.Pid) }

// spin lets the process run until it has used a CPU for a while, and returns for how long it has.
func (s spinner) spin(t *testing.T, d time.Duration) time.Duration {
	t.Helper()
	begin := s.used(t)
	s.signal(t, syscall.SIGCONT)
	eventually(t, "the process has run", func() bool { return s.used(t)-begin >= d })
	s.signal(t, syscall.SIGSTOP)
	time.Sleep(50 * time.Millisecond) // the signal arrives
	return s.used(t) - begin
}

// used is how long the process has been on a CPU.
func (s spinner) used(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(ns)
}

// near reports whether got is want, with an error of so many percent at most.
func near(got, want, percent float64) bool { return math.Abs(got-want) <= want*percent/100 }

// The number of samples is that of the CPU time, the profile's total is the CPU time, and a recording makes
// the same profile.
func TestProfileOfABusyProcess(t *testing.T) {
	kerneltest.RequireRoot(t)
	s := startSpinner(t)
	file := filepath.Join(t.TempDir(), "recording")
	g := start(t, setup{}, "run", "profile_cpu", "--pid", s.pid(), "--frequency", "99", "-o", "folded", "--record", file)
	g.waitAttached(t)
	used := s.spin(t, 4*time.Second)
	g.interrupt(t)
	folded := run(t, setup{}, "replay", file, "-o", "folded")
	folded.wantExit(t, 0)
	wantSame(t, "the folded stacks of the recording", folded.out.String(), g.out.String())

	p := replayProfile(t, file)
	if p.Period != 1_000_000_000/99 || p.PeriodType.Type != "cpu" {
		t.Errorf("a sample each %d ns of %s, want 99 a second of cpu", p.Period, p.PeriodType.Type)
	}
	samples, cpu := total(p, 0), total(p, 1)
	t.Logf("%v of a CPU: %d samples, %v in the profile", used, samples, time.Duration(cpu))
	if want := used.Seconds() * 99; !near(float64(samples), want, 10) {
		t.Errorf("%d samples, want %.0f ± 10 %%", samples, want)
	}
	if !near(float64(cpu), float64(used), 5) {
		t.Errorf("the profile has %v, want %v ± 5 %%", time.Duration(cpu), used)
	}
}

// replayProfile returns the profile of a recording.
func replayProfile(t testing.TB, file string) *profile.Profile {
	t.Helper()
	r := run(t, setup{}, "replay", file, "-o", "pprof")
	r.wantExit(t, 0)
	p, err := profile.ParseData([]byte(r.out.String()))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// total is the sum of the values with an index.
func total(p *profile.Profile, index int) (sum int64) {
	for _, s := range p.Sample {
		sum += s.Value[index]
	}
	return sum
}

// Params choose stacks, and whether idle CPUs count.
func TestProfileParams(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, c := range []struct {
		args               []string
		user, kernel, idle bool
	}{
		{nil, true, true, false},
		{[]string{"--kernel-stacks-only"}, false, true, false},
		{[]string{"--collect-ustack=false"}, false, true, false},
		{[]string{"--user-stacks-only"}, true, false, false},
		{[]string{"--include-idle"}, true, true, true},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			w := startWorkload(t, "profile_cpu", t.TempDir())
			pid := w.PID.String()
			w.Args = []string{"--frequency", "199"}
			begin := idleTime(t)
			r := w.run(t, c.args...)
			wasIdle := idleTime(t)-begin > 200*time.Millisecond // some 40 samples
			user, kernel, idle := false, false, false
			for _, e := range r.all.rows {
				idle = idle || e.get("proc.tid") == "0"
				if e.pid() == pid {
					user = user || strings.Contains(e.get("user_stack_raw.symbols"), "main.spin")
					kernel = kernel || e.get("kern_stack") != ""
				}
			}
			if c.idle && !wasIdle {
				t.Log("no CPU was idle")
				idle = true
			}
			if user != c.user || kernel != c.kernel || idle != c.idle {
				t.Errorf("stacks of the process %v, of the kernel %v, idle CPUs %v; want %v, %v, %v", user, kernel, idle, c.user, c.kernel, c.idle)
			}
		})
	}
}

// idleTime is for how long CPUs have had nothing to do.
func idleTime(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	const idle, ticks = 4, 100 // "cpu", then times in 1/100 s
	n, err := strconv.ParseInt(strings.Fields(string(text))[idle], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n) * time.Second / ticks
}

func TestProfileRefusesFrequencies(t *testing.T) {
	kerneltest.RequireRoot(t)
	for frequency, want := range map[string]string{
		"0":       "--frequency: the param frequency is 0: say how many times a second to sample, from 1 to 1000000",
		"1000001": "--frequency: the param frequency is 1000001",
		"-1":      `"-1" is not a number`,
		"1000000": "kernel.perf_event_max_sample_rate",
	} {
		g := run(t, setup{}, "run", "profile_cpu", "--frequency", frequency, "-t", "1")
		if g.wait(t) == 0 || !strings.Contains(g.err.String(), want) {
			t.Errorf("%s times a second: %s, want an error with %q", frequency, g.err.String(), want)
		}
		g.wantNoOut(t)
	}
}

// Waits are as long as the workload says. Those that are shorter than the user wants are left out, and the recording makes a profile of
// nanoseconds.
func TestProfileOfWaits(t *testing.T) {
	kerneltest.RequireRoot(t)
	w := startWorkload(t, "profile_offcpu", t.TempDir())
	file := filepath.Join(t.TempDir(), "recording")
	undisturbed(t, w, func(t *kerneltest.Attempt, w *workload) {
		r := w.run(t, "--record", file)
		r.wantExpected(t)
		wantSleeps(t, r.events.rows)
		p := replayProfile(t, file)
		if got := p.SampleType[0]; got.Type != "blocked" || got.Unit != "nanoseconds" || p.Period != 0 {
			t.Errorf("the profile has %s in %s, each %d", got.Type, got.Unit, p.Period)
		}
		if got := time.Duration(total(p, 0)); got < time.Second {
			t.Errorf("ten waits of 100 ms are %v in the profile", got)
		}
	})
}

// wantSleeps checks that the long sleeps of the workload are there, and none of the short ones.
func wantSleeps(t testing.TB, rows []jsonEvent) {
	t.Helper()
	found := false
	for _, e := range rows {
		symbols := e.get("user_stack_raw.symbols")
		if strings.Contains(symbols, "main.sleepShort") {
			t.Errorf("a wait that is too short: %s", e)
		}
		if !strings.Contains(symbols, "main.sleepLong") || e.get("waits") != "5" {
			continue
		}
		found = true
		blocked, err := strconv.ParseInt(e.get("blocked_raw"), 10, 64)
		if d := time.Duration(blocked); err != nil || d < 500*time.Millisecond || d > 1500*time.Millisecond {
			t.Errorf("five waits of 100 ms took %v, %v", d, err)
		}
		if !strings.Contains(e.get("kern_stack"), "nanosleep") {
			t.Errorf("no sleep in the kernel's stack: %s", e.get("kern_stack"))
		}
	}
	if !found {
		t.Error("no sleep")
	}
}

// Waits that are short count if the user wants them, also without stacks.
func TestProfileOfShortWaits(t *testing.T) {
	kerneltest.RequireRoot(t)
	w := startWorkload(t, "profile_offcpu", t.TempDir())
	w.Args = []string{"--pid", w.PID.String(), "--min-block", "0"}
	r := w.run(t, "--user-stacks-only")
	short := false
	for _, e := range r.events.rows {
		short = short || strings.Contains(e.get("user_stack_raw.symbols"), "main.sleepShort")
		if stack := e.get("kern_stack"); stack != "" {
			t.Errorf("a stack of the kernel: %s", stack)
		}
	}
	if !short {
		t.Error("no short wait")
	}
}

// The lines of a recording are those of the run, on any machine and for any user.
func TestLinesOfARecording(t *testing.T) {
	kerneltest.RequireRoot(t)
	program := filepath.Join(t.TempDir(), "inlined")
	out, err := exec.Command(kerneltest.RequireProgram(t, "gcc"), "-O2", "-g", "-fno-omit-frame-pointer", "-o", program, "../stacks/testdata/inlined.c").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p := startProgram(t, setup{}, []string{program})
	dir := readableDir(t)
	with, without := filepath.Join(dir, "with"), filepath.Join(dir, "without")
	var live string
	for _, c := range []struct {
		file string
		more []string
	}{{with, []string{"--lines"}}, {without, nil}} {
		g := start(t, setup{}, append([]string{"run", "profile_cpu", "--pid", strconv.Itoa(p.cmd.Process.Pid), "-o", "folded", "--record", c.file}, c.more...)...)
		g.waitAttached(t)
		time.Sleep(2 * time.Second)
		g.interrupt(t)
		const inlined = ";outermost;middle;innermost "
		if strings.Contains(g.out.String(), inlined) != (c.file == with) {
			t.Errorf("%q: %s", c.more, g.out.String())
		}
		if c.file == with {
			live = g.out.String()
		}
		r := run(t, setup{}, "replay", c.file, "-o", "folded", "--lines")
		r.wantExit(t, 0)
		if warned := strings.Contains(r.err.String(), "the recording has no lines of source"); warned == (c.file == with) {
			t.Errorf("%q: the replay says %s", c.more, r.err.String())
		}
	}
	giveToNobody(t, with)
	for _, mode := range []string{"folded", "pprof", "flamegraph"} {
		own := run(t, setup{}, "replay", with, "-o", mode, "--lines")
		own.wantExit(t, 0)
		other := run(t, setup{user: nobody}, "replay", with, "-o", mode, "--lines")
		other.wantExit(t, 0)
		wantSame(t, mode+" for nobody", other.out.String(), own.out.String())
		if mode == "folded" {
			wantSame(t, "the folded stacks of the recording", own.out.String(), live)
		}
	}
	diff := run(t, setup{}, "diff", with, with, "--lines", "-o", "folded")
	diff.wantExit(t, 0)
	if !strings.Contains(diff.out.String(), ";outermost;middle;innermost ") {
		t.Errorf("the comparison has %s", diff.out.String())
	}
}

// What would not show lines is refused, before the gadget is loaded.
func TestLinesForNothing(t *testing.T) {
	for want, args := range map[string][]string{
		"--lines: only profiles (pprof, folded, flamegraph) show lines of source": {"run", "profile_cpu", "--lines"},
		"--lines: the events have no stacks of processes":                         {"run", "trace_exec", "--lines", "--record", filepath.Join(t.TempDir(), "file")},
	} {
		r := run(t, setup{}, args...)
		r.wantExit(t, 1)
		if !strings.Contains(r.err.String(), want) {
			t.Errorf("%q: %s", args, r.err.String())
		}
	}
}
