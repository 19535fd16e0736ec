// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
	"github.com/gizmo-ebpf/gizmo/symbol"
	"github.com/gizmo-ebpf/gizmo/symbol/resolve"
)

// fake is a Source and a Resolver: the stack with an id has one address, the id. Ids of 1000 and more are of processes.
type fake struct {
	resolved []string
	missing  uint32 // the id of a stack that is not there yet
}

func (f *fake) Append(dst []uint64, id uint32) ([]uint64, bool, bool) {
	if id == f.missing {
		return dst, false, false
	}
	return append(dst, uint64(id)), id >= 1000, true
}

func (f *fake) stack(what string, addresses []uint64) *symbol.Stack {
	f.resolved = append(f.resolved, what)
	s := &symbol.Stack{Addresses: addresses}
	for range addresses {
		s.Locations = append(s.Locations, &symbol.Location{Module: &symbol.Module{BuildID: "ab"}, Function: &symbol.Function{Name: what}})
	}
	return s
}

func (f *fake) Kernel(addresses []uint64) *symbol.Stack {
	return f.stack(fmt.Sprintf("kernel %d", addresses[0]), addresses)
}

func (f *fake) User(m resolve.Moment, addresses []uint64) *symbol.Stack {
	return f.stack(fmt.Sprintf("user %d of %d at %d, %d/%d.%d", addresses[0], m.PID, m.Time, m.Identity.Inode, m.Identity.ModifiedSec, m.Identity.ModifiedNsec), addresses)
}

// userMembers are those of struct gadget_user_stack, in its order.
var userMembers = []struct {
	name string
	size uint32
}{
	{"major", 4}, {"minor", 4}, {"inode", 8}, {"mtime_sec", 8}, {"mtime_nsec", 4}, {"base_addr_hash", 4}, {"stack_id", 4}, {"tgid_level0", 4},
	{"pid_level0", 4}, {"pidns_level0", 4}, {"pid_level1", 4}, {"pidns_level1", 4}, {"otel_correlation_id", 8}, {"boot_timestamp", 8},
}

// schema has a stack of the kernel and one of a process.
func schema(name, kernel string) *event.Schema {
	s := &event.Schema{Name: name, Single: true, Fields: []event.Field{
		{Name: kernel, Kind: event.Uint, Size: 4, Types: []string{kernelType, "__u32"}, Parent: event.NoParent},
		{Name: "ustack", Kind: event.Struct, Off: 8, Size: 72, Types: []string{userType}, Parent: event.NoParent},
	}}
	off := uint32(8)
	for _, m := range userMembers {
		s.Fields = append(s.Fields, event.Field{Name: "ustack." + m.name, Kind: event.Uint, Off: off, Size: m.size, Parent: 1})
		off += m.size
	}
	s.Size = off
	return s
}

// row makes a row of the kernel's stack and what the other members are.
func row(kernel uint32, user map[string]uint64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(kernel))
	for _, m := range userMembers {
		if m.size == 4 {
			b = binary.LittleEndian.AppendUint32(b, uint32(user[m.name]))
		} else {
			b = binary.LittleEndian.AppendUint64(b, user[m.name])
		}
	}
	return b
}

func user(id, pid uint64) map[string]uint64 {
	return map[string]uint64{"stack_id": id, "tgid_level0": pid, "boot_timestamp": 9, "inode": 7, "mtime_sec": 5, "mtime_nsec": 6, "base_addr_hash": 8}
}

// bound returns the stage's function for a schema whose fields all are read, and readers of the texts.
func bound(t testing.TB, st *Stage, s *event.Schema) (pipeline.Func, func(b *event.Batch, row int, field string) string) {
	t.Helper()
	if err := st.Extend(s); err != nil {
		t.Fatal(err)
	}
	var need event.FieldSet
	readers := make(map[string]event.Reader)
	for i := range s.Fields {
		need.Add(i)
		if s.Fields[i].Added {
			r, err := s.ReaderOf(s.Fields[i].Name)
			if err != nil {
				t.Fatal(err)
			}
			readers[s.Fields[i].Name] = r
		}
	}
	run, err := st.Bind(s, need)
	if err != nil {
		t.Fatal(err)
	}
	return run, func(b *event.Batch, row int, field string) string {
		r, ok := readers[field]
		if !ok {
			t.Fatalf("there is no field %s", field)
		}
		return string(r.Bytes(b, row))
	}
}

func options(f *fake) Options {
	yes := func(event.SourceID) bool { return true }
	return Options{Resolver: f, Source: func(event.SourceID) Source { return f }, BuildIDs: yes}
}

func TestTexts(t *testing.T) {
	f := &fake{}
	s := schema("events", "kstack_raw")
	st := New(options(f))
	run, text := bound(t, st, s)
	b := &event.Batch{Schema: s, Rows: [][]byte{
		row(3, user(1001, 70)),
		row(0xfffffff2, map[string]uint64{"stack_id": 0xfffffff2, "tgid_level0": 70}), // errors
		row(4, nil),
		row(3, user(1001, 71)), // the same addresses in another process
		row(1005, user(5, 70)), // each is of the other kind
	}}
	if err := run(b); err != nil {
		t.Fatal(err)
	}
	for i, want := range [][2]string{
		{"kernel 3; ", "user 1001 of 70 at 9, 7/5.6; "}, {"", ""}, {"kernel 4; ", ""}, {"kernel 3; ", "user 1001 of 71 at 9, 7/5.6; "}, {"", ""},
	} {
		if got := [2]string{text(b, i, "kstack"), text(b, i, "ustack.symbols")}; got != want {
			t.Errorf("row %d: got %q, want %q", i, got, want)
		}
	}
	if a, id := text(b, 0, "ustack.addresses"), text(b, 0, "ustack.buildid"); a != "0x00000000000003e9; " || id != "ab +0; " {
		t.Errorf("addresses %q, build ids %q", a, id)
	}
	if kernel, users := st.Wants(); !kernel || !users {
		t.Error("the stage does not say what it needs")
	}
	before := len(f.resolved)
	if err := run(b); err != nil {
		t.Fatal(err)
	}
	if len(f.resolved) != before {
		t.Errorf("stacks were resolved again: %q", f.resolved[before:])
	}
}

// A row whose stack is not there yet does not spoil later rows.
func TestMissing(t *testing.T) {
	f := &fake{missing: 1001}
	s := schema("events", "kstack_raw")
	run, text := bound(t, New(options(f)), s)
	b := &event.Batch{Schema: s, Rows: [][]byte{row(0xffffffff, user(1001, 70))}}
	for _, want := range []string{"", "user 1001 of 70 at 9, 7/5.6; "} {
		if err := run(b); err != nil {
			t.Fatal(err)
		}
		if got := text(b, 0, "ustack.symbols"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		f.missing = 0
	}
}

// In a pid namespace gizmo knows processes by the ids there.
func TestNamespace(t *testing.T) {
	f := &fake{}
	o := options(f)
	o.Namespace = 100
	s := schema("events", "kstack_raw")
	run, text := bound(t, New(o), s)
	inner := user(1001, 70)
	inner["pidns_level0"], inner["pid_level1"], inner["pidns_level1"] = 1, 3, 100
	outer := user(1001, 71)
	outer["pidns_level0"] = 100
	b := &event.Batch{Schema: s, Rows: [][]byte{row(3, inner), row(3, outer)}}
	if err := run(b); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"user 1001 of 3 at 9, 7/5.6; ", "user 1001 of 71 at 9, 7/5.6; "} {
		if got := text(b, i, "ustack.symbols"); got != want {
			t.Errorf("row %d: got %q, want %q", i, got, want)
		}
	}
}

// Which fields the stage adds, and to what.
func TestFields(t *testing.T) {
	annotated := schema("annotated", "ids")
	annotated.Fields[0].Ann.Target = "kernel"
	taken := schema("taken", "kstack_raw")
	taken.Fields = append(taken.Fields, event.Field{Name: "kstack", Kind: event.Uint, Size: 4, Parent: event.NoParent})
	user := []string{"ustack.addresses", "ustack.symbols", "ustack.buildid"}
	for name, c := range map[string]struct {
		s    *event.Schema
		want []string
	}{
		"by its name":    {schema("a", "kstack_raw"), append([]string{"kstack"}, user...)},
		"by annotation":  {annotated, append([]string{"kernel"}, user...)},
		"without either": {schema("a", "kstack"), user},
		"taken":          {taken, user},
	} {
		if got := FieldNames(c.s); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if HasStacks(&event.Schema{}) || !HasUserStacks(annotated) || !HasStacks(annotated) {
		t.Error("HasStacks is wrong")
	}
}

// Stacks that no sink and no stage reads are not looked up.
func TestUnread(t *testing.T) {
	f := &fake{}
	s := schema("events", "kstack_raw")
	st := New(options(f))
	if err := st.Extend(s); err != nil {
		t.Fatal(err)
	}
	var need event.FieldSet
	need.Add(0)
	if run, err := st.Bind(s, need); run != nil || err != nil {
		t.Errorf("Bind returned a function: %v, %v", run != nil, err)
	}
	if kernel, users := st.Wants(); kernel || users {
		t.Error("the stage wants stacks")
	}
}

// The stage's memory is bounded, and rows of one batch keep their stacks.
func TestMemory(t *testing.T) {
	f := &fake{}
	s := schema("events", "kstack_raw")
	st := New(options(f))
	run, text := bound(t, st, s)
	id := uint64(1000)
	for range 30 {
		b := &event.Batch{Schema: s}
		for range 5000 {
			id++
			b.Rows = append(b.Rows, row(0xffffffff, user(id, 70)))
		}
		if err := run(b); err != nil {
			t.Fatal(err)
		}
		if got, want := text(b, 0, "ustack.symbols"), fmt.Sprintf("user %d of 70 at 9, 7/5.6; ", id-4999); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		for _, c := range st.columns[s] {
			if n := len(c.known[0]) + len(c.known[1]); n > 2*(generationCost/costOfStack+5000) {
				t.Fatalf("%d stacks are known", n)
			}
		}
	}
}

// A stack that was met before costs no memory.
func TestAllocates(t *testing.T) {
	f := &fake{}
	s := schema("events", "kstack_raw")
	run, _ := bound(t, New(options(f)), s)
	b := &event.Batch{Schema: s}
	for i := range 512 {
		b.Rows = append(b.Rows, row(uint32(i%10), user(uint64(1001+i%10), 70)))
	}
	if n := testing.AllocsPerRun(100, func() { _ = run(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStage(b *testing.B) {
	f := &fake{}
	s := schema("events", "kstack_raw")
	run, _ := bound(b, New(options(f)), s)
	batch := &event.Batch{Schema: s}
	for i := range 512 {
		batch.Rows = append(batch.Rows, row(uint32(i%10), user(uint64(1001+i%10), 70)))
	}
	for b.Loop() {
		_ = run(batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/512, "ns/row")
}

func TestStageContract(t *testing.T) {
	pipelinetest.Stage(t, pipelinetest.StageCase{
		New: func(testing.TB) pipeline.Stage { return New(options(&fake{})) },
		Schemas: func() []*event.Schema {
			return []*event.Schema{schema("one", "kstack_raw"), schema("two", "kstack"), pipelinetest.NewSchema(pipelinetest.Arrays, false)}
		},
		Rows: func(s *event.Schema) (rows [][]byte) {
			for i := range uint64(100) {
				if r := row(uint32(i%7), user(1000+i%5, 70)); s.Name != pipelinetest.Arrays {
					rows = append(rows, r)
				} else {
					rows = append(rows, make([]byte, s.Size))
				}
			}
			return rows
		},
	})
}
