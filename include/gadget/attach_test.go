// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// only loads one program of testdata/types.bpf.c, for events of system call nr.
func only(t *testing.T, name string, nr uint64, set globals) *ebpf.Collection {
	t.Helper()
	all := globals{"only_nr": nr}
	maps.Copy(all, set)
	return load(t, onlySpec(t, name), all)
}

func onlySpec(t *testing.T, name string) *ebpf.CollectionSpec {
	t.Helper()
	spec := parse(t, "types")
	spec.Programs = map[string]*ebpf.ProgramSpec{name: spec.Programs[name]}
	return spec
}

// The helpers must load in every type of program that traces.
func TestProgramTypesLoad(t *testing.T) {
	requireKernel(t)
	for name := range parse(t, "types").Programs {
		t.Run(name, func(t *testing.T) {
			_, err := tryLoad(t, onlySpec(t, name), nil)
			// The verifier says EACCES or EINVAL. EPERM to root is the policy of a
			// machine, and then it holds for any program of that type.
			if errors.Is(err, unix.EPERM) {
				refusedAltogether(t, onlySpec(t, name).Programs[name])
				return
			}
			if err != nil {
				t.Fatal("loading: ", verbose(err))
			}
		})
	}
}

// refusedAltogether fails unless a program of that type that does nothing is refused, too.
func refusedAltogether(t *testing.T, spec *ebpf.ProgramSpec) {
	t.Helper()
	nothing := spec.Copy()
	nothing.Instructions = asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	p, err := ebpf.NewProgram(nothing)
	if err == nil {
		p.Close()
		t.Fatal("a program of the same type that does nothing is permitted")
	}
	if !errors.Is(err, unix.EPERM) {
		t.Fatal("a program of the same type that does nothing: ", err)
	}
	t.Log("this machine permits no such programs: ", err)
}

func mountTracefs(t *testing.T) {
	t.Helper()
	const dir = "/sys/kernel/tracing"
	if _, err := os.Stat(filepath.Join(dir, "events")); err == nil {
		return
	}
	if err := unix.Mount("tracefs", dir, "tracefs", 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
		skip(t, "needs tracefs: %v", err)
	}
}

// Really attached, each must see exactly this thread's calls.
func TestAttached(t *testing.T) {
	requireKernel(t)
	attach := map[string]func(p *ebpf.Program) (link.Link, error){
		"on_tracepoint": func(p *ebpf.Program) (link.Link, error) {
			mountTracefs(t)
			return link.Tracepoint("syscalls", "sys_enter_getpgid", p, nil)
		},
		"on_raw_tp": func(p *ebpf.Program) (link.Link, error) {
			return link.AttachRawTracepoint(link.RawTracepointOptions{Name: "sys_enter", Program: p})
		},
		"on_tp_btf": func(p *ebpf.Program) (link.Link, error) {
			return link.AttachTracing(link.TracingOptions{Program: p})
		},
	}
	for name, attach := range attach {
		t.Run(name, func(t *testing.T) {
			onOwnThread(func() { testAttached(t, name, attach) })
		})
	}
}

func testAttached(t *testing.T, name string, attach func(*ebpf.Program) (link.Link, error)) {
	setComm(t, name)
	coll := only(t, name, unix.SYS_GETPGID, globals{"targ_tid": uint32(unix.Gettid())})
	l, err := attach(coll.Programs[name])
	if err != nil {
		t.Error("attaching:", err)
		return
	}
	const calls = 5
	for range calls {
		if _, err := unix.Getpgid(0); err != nil {
			t.Error(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	events := calledBy(t, coll)
	if len(events) != calls {
		t.Fatalf("%d events, want %d", len(events), calls)
	}
	for _, got := range events {
		if want := self(t, name, got.Process); got.Process != want || got.NR != unix.SYS_GETPGID {
			t.Errorf("\n got %+v\nwant %+v", got, want)
		}
	}
}

// call is struct event of testdata/types.bpf.c.
type call struct {
	Process process
	NR      uint64
}

// calledBy reads the calls that have arrived so far.
func calledBy(t *testing.T, coll *ebpf.Collection) []call {
	t.Helper()
	records := openRing(t, coll.Maps["events"])()
	calls := make([]call, len(records))
	for i, raw := range records {
		if _, err := binary.Decode(raw, binary.LittleEndian, &calls[i]); err != nil {
			t.Fatal(err)
		}
	}
	return calls
}

// The parent is the thread that forked; its process is another number.
func TestParentThread(t *testing.T) {
	requireKernel(t)
	onOwnThread(func() {
		const name = "forking-thread"
		setComm(t, name)
		coll := only(t, "on_raw_tp", unix.SYS_EXIT_GROUP, globals{"targ_comm": cstring("true")})
		l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "sys_enter", Program: coll.Programs["on_raw_tp"]})
		if err != nil {
			t.Error(err)
			return
		}
		defer l.Close()
		child := exec.Command("true")
		if err := child.Run(); err != nil {
			t.Error(err)
		}
		for _, got := range calledBy(t, coll) {
			if got.Process.PID != uint32(child.Process.Pid) {
				continue // of another process
			}
			p := process{
				Comm: cstring("true"), PID: got.Process.PID, TID: got.Process.PID, MntnsID: ownMntns(t),
				UID: uint32(os.Getuid()), GID: uint32(os.Getgid()),
				ParentComm: cstring(name), ParentPID: uint32(os.Getpid()), ParentTID: uint32(unix.Gettid()),
			}
			if got.Process != p {
				t.Errorf("\n got %+v\nwant %+v", got.Process, p)
			}
			return
		}
		t.Error("no event of the child")
	})
}
