// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package bpfprogs

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// load loads a program that looks into a map, unless size is 0.
func load(t testing.TB, name string, size uint32) *ebpf.Program {
	t.Helper()
	kerneltest.RequireRoot(t)
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	spec := &ebpf.ProgramSpec{Name: name, Type: ebpf.SocketFilter, License: "Dual MIT/GPL"}
	if size > 0 {
		m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: size})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		spec.Instructions = append(spec.Instructions, asm.LoadMapPtr(asm.R1, m.FD()))
	}
	spec.Instructions = append(spec.Instructions, asm.Mov.Imm(asm.R0, 0), asm.Return())
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func open(t testing.TB) *Reader {
	t.Helper()
	r, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	r.Want(Wanted{MapMemory: true, Gadget: true})
	return r
}

// find reads all programs and returns the one of that name.
func find(t testing.TB, r *Reader, name string) (found *Program) {
	t.Helper()
	list, err := r.Read(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if list[i].Name == name {
			found = &list[i]
		}
		if i > 0 && list[i].ID <= list[i-1].ID {
			t.Errorf("%d comes after %d", list[i].ID, list[i-1].ID)
		}
	}
	return found
}

func nameOf(what string) string { return fmt.Sprintf("%s%d", what, os.Getpid()) }

func TestRead(t *testing.T) {
	name := nameOf("r")
	p := load(t, name, 1000)
	counting, err := Count()
	if err != nil {
		t.Fatal(err)
	}
	defer counting.Close()
	r := open(t)
	before := find(t, r, name)
	if before == nil || before.Runs != 0 || before.Time != 0 || before.Type != "SocketFilter" || before.Maps != 1 || before.Gadget.ID != "" {
		t.Fatalf("%+v", before)
	}
	if before.MapMemory < 8000 || before.MapMemory > 20_000 {
		t.Errorf("the maps take %d bytes", before.MapMemory)
	}
	const runs = 1234
	if _, err := p.Run(&ebpf.RunOptions{Data: make([]byte, 64), Repeat: runs}); err != nil {
		t.Fatal(err)
	}
	// A signal, such as Go sends to its threads, ends such a call early, and the library repeats the whole call.
	want, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if after := find(t, r, name); after == nil || after.Runs < runs || after.Runs != want.RunCount || after.Time != want.Runtime || after.ID != before.ID {
		t.Errorf("%+v, want %+v", after, want)
	}
	// The reader does not keep the program.
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); find(t, r, name) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the program is still there")
		}
	}
	if r.known[ebpf.ProgramID(before.ID)] != nil {
		t.Error("the reader remembers a program that has gone")
	}
}

func TestLabel(t *testing.T) {
	one, other := load(t, nameOf("a"), 10), load(t, nameOf("b"), 0)
	load(t, nameOf("c"), 10)
	l := NewLabel("trace_x", "ghcr.io/"+strings.Repeat("x", 300))
	if err := l.Bind(map[string]*ebpf.Program{"one": one, "other": other}); err != nil {
		t.Fatal(err)
	}
	r := open(t)
	for range 2 { // from the kernel, and from what is known
		for name, maps := range map[string]int{nameOf("a"): 1, nameOf("b"): 0} {
			p := find(t, r, name)
			if p == nil || p.Gadget.ID != l.ID || p.Gadget.Name != "trace_x" || p.Gadget.Reference != l.Reference[:256] || p.Maps != maps {
				t.Errorf("%+v", p)
			}
		}
		if p := find(t, r, nameOf("c")); p == nil || p.Gadget != (Label{}) {
			t.Errorf("%+v", p)
		}
	}
	if again := NewLabel("trace_x", ""); again.ID == l.ID || len(again.ID) != 32 {
		t.Errorf("ids %s, %s", l.ID, again.ID)
	}
}

func TestHolders(t *testing.T) {
	p := load(t, nameOf("h"), 0)
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	second, err := p.Clone()
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	all, err := open(t).Holders()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := all[uint32(id)], (Holder{os.Getpid(), strings.TrimSpace(string(comm))}); len(got) != 1 || got[0] != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func BenchmarkHolders(b *testing.B) {
	r := open(b)
	for b.Loop() {
		if _, err := r.Holders(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for i := range 100 {
		load(b, fmt.Sprint("bench", i), 100)
	}
	r := open(b)
	var list []Program
	for b.Loop() {
		var err error
		if list, err = r.Read(list[:0]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(list)), "ns/program")
}
