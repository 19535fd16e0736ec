// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"cmp"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/internal/procstat"
)

func open(t testing.TB) *Reader {
	t.Helper()
	r, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func read(t testing.TB, r *Reader) []Process {
	t.Helper()
	list, err := r.Read(nil)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// find returns a process of a list; nil if it is not there.
func find(list []Process, pid int) *Process {
	i, ok := slices.BinarySearchFunc(list, int32(pid), func(p Process, id int32) int { return cmp.Compare(p.PID, id) })
	if !ok {
		return nil
	}
	return &list[i]
}

func TestReadOwnProcess(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.Want(Wanted{Shared: true, UID: true, MountNS: true})
	p := find(read(t, r), os.Getpid())
	if p == nil {
		t.Fatal("this process is not there")
	}
	var st syscall.Stat_t
	if err := syscall.Stat("/proc/self/ns/mnt", &st); err != nil {
		t.Fatal(err)
	}
	stat, err := procstat.Read("/proc/self")
	if err != nil {
		t.Fatal(err)
	}
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(bytes.TrimRight(p.Comm[:], "\x00")) + "\n"; got != string(comm) {
		t.Errorf("name %q, want %q", got, comm)
	}
	if p.Parent != int32(os.Getppid()) || p.UID != uint32(os.Geteuid()) || p.MountNS != st.Ino || int64(p.Start)*1e7 != stat.Began {
		t.Errorf("%+v", p)
	}
	if p.Threads < 2 || p.Resident < 1<<20 || p.Shared == 0 || p.Shared >= p.Resident || p.Virtual <= p.Resident {
		t.Errorf("%+v", p)
	}
	if p.State != 'R' && p.State != 'S' {
		t.Errorf("state %c", p.State)
	}
}

// What nobody wants is not read.
func TestWanted(t *testing.T) {
	t.Parallel()
	p := find(read(t, open(t)), os.Getpid())
	if p == nil || p.Shared != 0 || p.MountNS != 0 {
		t.Errorf("%+v", p)
	}
}

// A process of another user with an odd name, its niceness, and that it has gone.
func TestReadOtherProcess(t *testing.T) {
	kerneltest.RequireRoot(t)
	cmd := exec.Command("sh", "-c", `printf 'a ) R 5' >/proc/self/comm; read line`)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, pid, 7); err != nil {
		t.Fatal(err)
	}
	r := open(t)
	r.Want(Wanted{UID: true, MountNS: true})
	var p *Process
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if p = find(read(t, r), pid); p != nil && string(bytes.TrimRight(p.Comm[:], "\x00")) == "a ) R 5" {
			break
		}
	}
	if p == nil || p.Nice != 7 || p.Priority != 27 || p.UID != 65534 || p.Threads != 1 || p.MountNS == 0 || p.Parent != int32(os.Getpid()) {
		t.Errorf("%+v", p)
	}
	_ = in.Close()
	_ = cmd.Wait()
	if p := find(read(t, r), pid); p != nil {
		t.Errorf("after its end: %+v", p)
	}
}

func TestParseID(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int32{"1": 1, "4194304": 4194304, "": -1, "self": -1, "12a": -1, "99999999999": -1} {
		if id, ok := parseID([]byte(name)); ok != (want >= 0) || ok && id != want {
			t.Errorf("%q: %d, %v", name, id, ok)
		}
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	r := open(t)
	r.Want(Wanted{Shared: true, UID: true, MountNS: true})
	list := make([]Process, 0, 1<<16)
	var err error
	if n := testing.AllocsPerRun(20, func() { list, err = r.Read(list[:0]) }); n > 0 || err != nil {
		t.Errorf("%v allocations for %d processes, %v", n, len(list), err)
	}
}

func BenchmarkRead(b *testing.B) {
	for name, want := range map[string]Wanted{"stat": {}, "all": {true, true, true}} {
		b.Run(name, func(b *testing.B) {
			r := open(b)
			r.Want(want)
			var list []Process
			for b.Loop() {
				var err error
				if list, err = r.Read(list[:0]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(list)), "ns/process")
		})
	}
}
