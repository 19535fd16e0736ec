// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// arraysOf runs a gadget to its end and returns its arrays.
func arraysOf[T any](t *testing.T, args ...string) (arrays [][]T) {
	t.Helper()
	g := run(t, setup{}, append([]string{"run"}, append(args, "-o", "json")...)...)
	g.wantExit(t, 0)
	for line := range strings.Lines(g.out.String()) {
		var rows []T
		if err := json.Unmarshal([]byte(line), &rows); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		arrays = append(arrays, rows)
	}
	return arrays
}

// processRow is a part of a row of top_process.
type processRow struct {
	PID      int     `json:"pid"`
	CPU      float64 `json:"cpuUsage"`
	Relative float64 `json:"cpuUsageRelative"`
	CPUTime  int64   `json:"cpuTime"`
	Resident int64   `json:"memoryRSS_raw"`
	Memory   float64 `json:"memoryRelative"`
	Start    int64   `json:"startTime"`
	Started  string  `json:"startTimeStr"`
	MountNS  uint64  `json:"mountnsid"`
	User     string  `json:"user"`
}

// helperBurn is a process that keeps memory and uses a share of a processor: its arguments are a number of MiB, and one of percents.
const helperBurn = "burn"

// burn is the main function of that process. It goes by the time that it has used, so that its share is about right also if it does not get
// the processor at once.
func burn(args []string) error {
	mib, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	percents, err := strconv.ParseFloat(args[1], 64)
	if err != nil {
		return err
	}
	memory := make([]byte, mib<<20)
	for i := 0; i < len(memory); i += os.Getpagesize() {
		memory[i] = 1
	}
	runtime.LockOSThread()
	used := func() time.Duration {
		var t unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t) // cannot fail
		return time.Duration(t.Nano())
	}
	begin, first := time.Now(), used()
	for os.Getppid() != 1 {
		if float64(used()-first) > float64(time.Since(begin))*percents/100 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	runtime.KeepAlive(memory)
	return nil
}

// cpuClock returns the processor time of a process, which the kernel counts in nanoseconds.
func cpuClock(t *testing.T, pid int) time.Duration {
	t.Helper()
	const scheduled = 2 // CPUCLOCK_SCHED of the kernel
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Nano())
}

func startBurner(t *testing.T, mib, percents int, attr *syscall.SysProcAttr) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], strconv.Itoa(mib), strconv.Itoa(percents))
	cmd.Env = append(os.Environ(), helperMode+"="+helperBurn)
	cmd.SysProcAttr = attr
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// A process that uses a known share of a processor and a known amount of memory.
func TestTopProcessValues(t *testing.T) {
	kerneltest.RequireRoot(t)
	const mib, percents = 100, 30
	before := time.Now()
	pid := startBurner(t, mib, percents, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS})
	time.Sleep(500 * time.Millisecond) // until it has its memory
	used := cpuClock(t, pid)
	arrays := arraysOf[processRow](t, "top_process", "--interval", "2s", "--count", "2", "--filter", fmt.Sprint("pid==", pid))
	if len(arrays) != 2 || len(arrays[0]) != 1 || len(arrays[1]) != 1 {
		t.Fatalf("got %v", arrays)
	}
	after := cpuClock(t, pid)
	first, r := arrays[0][0], arrays[1][0]
	t.Logf("used %v before and %v after: %+v", used, after, arrays)
	const tick = 10 * time.Millisecond
	at := func(row processRow) time.Duration { return time.Duration(row.CPUTime) * tick }
	if at(first) < used-2*tick || at(r) < at(first) || at(r) > after+2*tick {
		t.Errorf("it had used %v, then %v", at(first), at(r))
	}
	// How long the share was measured: a busy machine makes arrays late.
	grew := at(r) - at(first)
	if over := time.Duration(float64(grew) * 100 / r.CPU); over < 1900*time.Millisecond || over > 3*time.Second || grew < 20*tick {
		t.Errorf("it used %v, which is said to be %v %% of a processor", grew, r.CPU)
	}
	if all := r.CPU / float64(runtime.NumCPU()); r.Relative < all*0.99 || r.Relative > all*1.01 {
		t.Errorf("that is %v %% of all processors, want %v", r.Relative, all)
	}
	if r.Resident < mib<<20 || r.Resident > (mib+40)<<20 || r.Memory <= 0 || r.Memory > 100 {
		t.Errorf("it has %d bytes of memory, %v %% of the machine's", r.Resident, r.Memory)
	}
	started, err := time.Parse(time.RFC3339, r.Started)
	if err != nil || started.Sub(before).Abs() > 2*time.Second {
		t.Errorf("it started at %s, want about %v: %v", r.Started, before, err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(fmt.Sprintf("/proc/%d/ns/mnt", pid), &st); err != nil || r.MountNS != st.Ino || r.User != "root" {
		t.Errorf("mount namespace %d, want %d, user %s: %v", r.MountNS, st.Ino, r.User, err)
	}
}

// A process that starts between two arrays has used what it has used since then.
func TestTopProcessNewProcess(t *testing.T) {
	kerneltest.RequireRoot(t)
	g := start(t, setup{}, "run", "top_process", "-o", "json", "--interval", "2s", "--fields", "pid,cpuUsage,comm", "--filter", "cpuUsage>0")
	eventually(t, "the first array comes", func() bool { return g.out.Len() > 0 })
	pid := startBurner(t, 1, 100, nil)
	eventually(t, "the process is there", func() bool { return strings.Contains(g.out.String(), fmt.Sprintf(`"pid":%d`, pid)) })
	g.interrupt(t)
	for line := range strings.Lines(g.out.String()) {
		var rows []processRow
		if err := json.Unmarshal([]byte(line), &rows); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(rows, func(r processRow) bool { return r.PID == pid })
		if i >= 0 && rows[i].CPU > 102 {
			t.Errorf("it used %v %% of a processor", rows[i].CPU)
		}
	}
}

// programRow is a part of a row of bpfstats.
type programRow struct {
	Name    string  `json:"progName"`
	Gadget  string  `json:"gadgetName"`
	Image   string  `json:"gadgetImage"`
	ID      string  `json:"gadgetID"`
	Runs    uint64  `json:"runcount"`
	Runtime uint64  `json:"runtime_raw"`
	CPU     float64 `json:"cpuUsage"`
	Maps    int     `json:"mapCount"`
	Memory  uint64  `json:"mapMemory_raw"`
	Comms   string  `json:"comms"`
	PIDs    string  `json:"pids"`
}

// A program is counted exactly from array to array, and the process that holds it is found.
func TestBPFStatsValues(t *testing.T) {
	kerneltest.RequireRoot(t)
	name := fmt.Sprintf("t%d", os.Getpid())
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: ebpf.SocketFilter, License: "Dual MIT/GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	g := start(t, setup{}, "run", "bpfstats", "-o", "json", "--statistics-interval", "200ms", "--filter", "progName=="+name)
	eventually(t, "the first array comes", func() bool { return g.out.Len() > 0 })
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	var runs uint64
	for i := range 20 {
		n := uint32(1000 * (i + 1))
		if _, err := prog.Run(&ebpf.RunOptions{Data: make([]byte, 64), Repeat: n}); err != nil {
			t.Fatal(err)
		}
		runs += uint64(n)
		time.Sleep(30 * time.Millisecond)
	}
	// A signal, such as Go sends to its threads, ends such a call early, and the library repeats the whole call.
	counted, err := prog.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if counted.RunCount < runs {
		t.Fatalf("the kernel counts %d runs of %d", counted.RunCount, runs)
	}
	lines := strings.Count(g.out.String(), "\n")
	eventually(t, "two more arrays come", func() bool { return strings.Count(g.out.String(), "\n") > lines+1 })
	g.interrupt(t)
	var sum, took uint64
	for line := range strings.Lines(g.out.String()) {
		var rows []programRow
		if err := json.Unmarshal([]byte(line), &rows); err != nil || len(rows) != 1 {
			t.Fatal(err, line)
		}
		r := rows[0]
		sum, took = sum+r.Runs, took+r.Runtime
		if r.PIDs != strconv.Itoa(os.Getpid()) || r.Comms+"\n" != string(comm) || r.Gadget != "" || r.ID != "" || r.Maps != 0 || r.Memory != 0 {
			t.Errorf("%+v", r)
		}
		if (r.Runs > 0) != (r.CPU > 0) {
			t.Errorf("%d runs took %v %% of a processor", r.Runs, r.CPU)
		}
	}
	if sum != counted.RunCount || took != uint64(counted.Runtime) {
		t.Errorf("%d runs that took %d ns, want %d that took %v", sum, took, counted.RunCount, counted.Runtime)
	}
}

// The programs of a gadget that another gizmo runs carry its name, and with --gadgets-only only such programs are shown. When the gadget ends, they are gone.
func TestBPFStatsOfGadgets(t *testing.T) {
	kerneltest.RequireRoot(t)
	g := start(t, setup{}, "run", "trace_exec", "-o", "none")
	g.waitAttached(t)
	shown := func(more ...string) (ids []string, others int) {
		for _, rows := range arraysOf[programRow](t, append([]string{"bpfstats", "--annotate", "bpfstats:fetch-count=1"}, more...)...) {
			for _, r := range rows {
				switch {
				case r.Gadget == "":
					others++
				case r.PIDs == strconv.Itoa(g.cmd.Process.Pid):
					ids = append(ids, r.ID)
					if r.Gadget != "trace_exec" || r.Image != "trace_exec" || r.Comms != filepath.Base(gizmoPath) || r.Maps == 0 || r.Memory == 0 {
						t.Errorf("%+v", r)
					}
				}
			}
		}
		return ids, others
	}
	ids, others := shown("--gadgets-only")
	if len(ids) == 0 || others > 0 || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 1 || len(ids[0]) != 32 {
		t.Errorf("ids %v, and %d other programs", ids, others)
	}
	g.interrupt(t)
	if ids, _ := shown(); len(ids) > 0 {
		t.Errorf("after the end: %v", ids)
	}
}

// cgroupRow is a part of a row of top_cpu_throttle.
type cgroupRow struct {
	Path      string  `json:"cgroupPath"`
	Periods   int     `json:"nrPeriods"`
	Throttled int     `json:"nrThrottled"`
	Time      int64   `json:"throttledTime_raw"`
	Ratio     float64 `json:"throttleRatio"`
	Some10    float64 `json:"psiSomeAvg10"`
	MountNS   uint64  `json:"mountnsid"`
}

// A group with a fifth of a processor, in which a process could use a whole one, waits four fifths of the time.
func TestTopCPUThrottleValues(t *testing.T) {
	kerneltest.RequireRoot(t)
	w := startWorkload(t, "top_cpu_throttle", t.TempDir())
	const interval = 2 * time.Second
	filter := fmt.Sprintf("cgroupPath==/gizmo-throttle-%s/tight", w.PID)
	arrays := arraysOf[cgroupRow](t, "top_cpu_throttle", "--interval", interval.String(), "--count", "2", "--filter", filter)
	if len(arrays) != 2 || len(arrays[1]) != 1 {
		t.Fatalf("got %v", arrays)
	}
	r := arrays[1][0]
	t.Logf("%+v", arrays)
	most := int64(interval) * int64(runtime.NumCPU()) // it waits on each processor
	if r.Periods < 15 || r.Periods > 22 || r.Throttled < 10 || r.Throttled > r.Periods || r.Time < int64(interval)*4/10 || r.Time > most {
		t.Errorf("%+v", r)
	}
	if want := float64(r.Throttled) / float64(r.Periods) * 100; r.Ratio < want*0.99 || r.Ratio > want*1.01 {
		t.Errorf("ratio %v, want %v", r.Ratio, want)
	}
	var st syscall.Stat_t
	if err := syscall.Stat("/proc/self/ns/mnt", &st); err != nil || r.MountNS != st.Ino {
		t.Errorf("mount namespace %d, want %d: %v", r.MountNS, st.Ino, err)
	}
	if _, err := os.Stat(filepath.Join("/sys/fs/cgroup", r.Path, "cpu.pressure")); (err == nil) != (r.Some10 > 0) {
		t.Errorf("pressure %v: %v", r.Some10, err)
	}
}

// Recordings of built-in data sources have all fields, whatever the output shows.
func TestRecordBuiltIn(t *testing.T) {
	kerneltest.RequireRoot(t)
	file := filepath.Join(t.TempDir(), "recording")
	g := run(t, setup{}, "run", "top_process", "--count", "1", "--record", file, "--fields", "pid", "-o", "columns")
	g.wantExit(t, 0)
	replay := run(t, setup{}, "replay", file, "-o", "json", "--filter", fmt.Sprint("pid==", os.Getpid()))
	replay.wantExit(t, 0)
	var rows []processRow
	if err := json.Unmarshal([]byte(replay.out.String()), &rows); err != nil || len(rows) != 1 || rows[0].MountNS == 0 || rows[0].User != "root" {
		t.Errorf("%v: %s", err, replay.out.String())
	}
}
