// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"

	"github.com/gizmo-ebpf/gizmo/builtin"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/source"
	"github.com/gizmo-ebpf/gizmo/host/process"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
	"github.com/gizmo-ebpf/gizmo/semtype"
)

func open(t testing.TB, k builtin.Kind) Reader {
	t.Helper()
	r, err := Open(Options{Kind: k})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// few is a Reader that gives a known number of rows of another, because how many there are changes all the time.
type few struct {
	Reader
	rows int
}

func (f *few) Read(rows [][]byte) ([][]byte, error) {
	got, err := f.Reader.Read(rows)
	return got[:min(len(got), len(rows)+f.rows)], err
}

// Each built-in data source passes the contract of sources.
func TestContract(t *testing.T) {
	kerneltest.RequireRoot(t)
	loadProgram(t)
	for k, rows := range map[builtin.Kind]int{builtin.Programs: 1, builtin.Processes: 1, builtin.Cgroups: 0} {
		src := builtin.Of(k)
		t.Run(src.Name, func(t *testing.T) {
			const arrays = 3
			pipelinetest.Source(t, pipelinetest.SourceCase{
				New: func(t testing.TB) pipeline.Source {
					fetch := image.Fetch{Interval: time.Microsecond, Count: arrays, Flush: true}
					return source.Readings(src.Schema(nil), fetch, &once{Reader: &few{open(t, k), rows}})
				},
				Rows: rows,
			})
		})
	}
}

// once is a Reader whose rows come once, however often it is read.
type once struct {
	Reader
	read bool
}

func (o *once) Read(rows [][]byte) ([][]byte, error) {
	got, err := o.Reader.Read(rows)
	if o.read {
		return rows, err
	}
	o.read = true
	return got, err
}

// loadProgram makes sure that there is a BPF program.
func loadProgram(t *testing.T) {
	t.Helper()
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SocketFilter, License: "Dual MIT/GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
}

func TestAsked(t *testing.T) {
	t.Parallel()
	src := builtin.Of(builtin.Processes)
	s := src.Schema(nil)
	if err := semtype.Apply(s, semtype.Types(), &semtype.Env{}, src.Annotations(nil)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"memoryShared": "memoryShared_raw", "user": "uid", "mountnsid": "mountnsid", "pid": ""} {
		i, ok := s.Lookup(name)
		if !ok {
			t.Fatalf("no field %s", name)
		}
		var need event.FieldSet
		need.Add(i)
		asked := Asked(s, need)
		for _, costly := range []string{"memoryShared_raw", "uid", "mountnsid"} {
			if asked(costly) != (costly == want) {
				t.Errorf("%s: %s is asked: %v", name, costly, asked(costly))
			}
		}
	}
}

func TestAppendCPUTime(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0:00.000", 10 * time.Millisecond: "0:00.010", 61*time.Second + 230*time.Millisecond: "1:01.230", 100 * time.Hour: "6000:00.000",
	} {
		if got := string(appendCPUTime(nil, d)); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestWhole(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"1,2,3": "1,2,3", "11,22,33,44": "11,...", "1234567890123": ",...", "1,2,3,4,5": "1,2,3,4,5"} {
		if got := string(whole([]byte(text), 9)); got != want && !strings.HasSuffix(want, ",...") || len(got) > 9 {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestPutPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"/a": "/a\x00\x00\x00\x00\x00\x00", "/12345678": "...45678", "/1234567": "/1234567"} {
		got := []byte("xxxxxxxx")
		if putPath(got, path); string(got) != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// What processes have used is a difference. A new process has used it since it began, and a process that has got the id of another has nothing
// to do with that one.
func TestProcessDifferences(t *testing.T) {
	t.Parallel()
	m := machine{ticks: 100, cpus: 4, memory: 1000, lastTick: 5000}
	p := &processes{
		before: []process.Process{{PID: 1, CPU: 50, Start: 7}, {PID: 2, CPU: 90}, {PID: 4, CPU: 40, Start: 4000}, {PID: 6, CPU: 8}},
		now: []process.Process{
			{PID: 1, CPU: 80, Start: 7}, {PID: 3, CPU: 20, Start: 5000}, {PID: 4, CPU: 10, Start: 5050}, {PID: 5, CPU: 70, Start: 3000}, {PID: 6, CPU: 7},
		},
	}
	p.compare(&m)
	// 5 was there before, but could not be read.
	want := map[int32]float64{1: 30, 3: 20, 4: 10, 5: 0, 6: 0}
	if len(p.rows) != len(want) {
		t.Fatalf("%d rows", len(p.rows))
	}
	for _, row := range p.rows {
		if row.CPUUsage != want[row.PID] || row.CPUUsageRelative != row.CPUUsage/4 {
			t.Errorf("process %d: %v %%, %v %% of all, want %v", row.PID, row.CPUUsage, row.CPUUsageRelative, want[row.PID])
		}
	}
	var row builtin.ProcessRow
	p.fill(&row, &process.Process{CPU: 6123, Resident: 250, State: 'R'}, 50, &m)
	if row.MemoryRelative != 25 || string(event.CString(row.CPUTimeText[:])) != "1:01.230" || row.State != [2]byte{'R'} {
		t.Errorf("%+v", row)
	}
}

// Not each process costs memory anew, only each reading.
func TestReadAllocatesNothingForRows(t *testing.T) {
	r := open(t, builtin.Processes)
	defer r.Close()
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	var rows [][]byte
	var err error
	if n := testing.AllocsPerRun(20, func() { rows, err = r.Read(rows[:0]) }); n > 20 || err != nil {
		t.Errorf("%v allocations for %d rows, %v", n, len(rows), err)
	}
}
