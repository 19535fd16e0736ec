// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"encoding/binary"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
)

// neighbour is a container with namespaces of its own, known to the set.
type neighbour struct {
	set        *container.Set
	id         container.Identity
	mount, net uint64
}

func newNeighbour(t testing.TB, name string) *neighbour {
	t.Helper()
	kerneltest.RequireRoot(t)
	cmd := exec.Command("sleep", "infinity")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	set := container.NewSet("")
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		set.Close()
	})
	id := container.Identity{Runtime: "docker", ID: "0123456789abcdef", Name: name, PID: cmd.Process.Pid}
	if err := set.Put(container.RankHigh, id); err != nil {
		t.Fatal(err)
	}
	c := set.All()[0]
	return &neighbour{set, id, c.MountNS, c.NetNS}
}

// schema returns a schema of events with the namespaces and a time.
func schema(name string, types ...string) *event.Schema {
	s := &event.Schema{Name: name, Single: true, Size: 24}
	for i, ctype := range []string{mountType, netType, timeType} {
		f := event.Field{Name: ctype, Kind: event.Uint, Off: uint32(8 * i), Size: 8, Parent: event.NoParent}
		if len(types) == 0 || types[0] == ctype || len(types) > 1 && types[1] == ctype {
			f.Types = []string{ctype}
		}
		s.Fields = append(s.Fields, f)
	}
	return s
}

func row(mount, net, time uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, mount), net), time)
}

func TestStageContract(t *testing.T) {
	n := newNeighbour(t, "web")
	selected, err := container.NewSelector(map[string]string{"containername": "web"})
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"all":      {Set: n.set, Host: true},
		"one only": {Set: n.set, Selector: selected},
	} {
		t.Run(name, func(t *testing.T) {
			pipelinetest.Stage(t, pipelinetest.StageCase{
				New: func(testing.TB) pipeline.Stage { return New(o) },
				Schemas: func() []*event.Schema {
					return []*event.Schema{schema("one"), schema("two", mountType), schema("none", timeType)}
				},
				Rows: func(*event.Schema) (rows [][]byte) {
					for i := range uint64(100) {
						rows = append(rows, row(n.mount*(i%2), n.net*(i%3), 0))
					}
					return rows
				},
			})
		})
	}
}

// keep runs the stage over rows and returns the names of the containers of those that pass; "-" for none.
func keep(t *testing.T, o Options, s *event.Schema, rows ...[]byte) (names []string) {
	t.Helper()
	st := New(o)
	if err := st.Extend(s); err != nil {
		t.Fatal(err)
	}
	var need event.FieldSet
	i, ok := s.Lookup("runtime.containerName")
	if ok {
		need.Add(i)
	}
	f, err := st.Bind(s, need)
	if err != nil {
		t.Fatal(err)
	}
	b := event.Batch{Schema: s, Rows: rows}
	if f != nil {
		if err := f(&b); err != nil {
			t.Fatal(err)
		}
	}
	for row := range b.Rows {
		name := "-"
		if ok {
			if r, err := s.Reader(i); err != nil {
				t.Fatal(err)
			} else if text := r.String(&b, row); text != "" {
				name = text
			}
		}
		names = append(names, name)
	}
	return names
}

func TestWhoseEvents(t *testing.T) {
	n := newNeighbour(t, "web")
	var host unix.Stat_t
	if err := unix.Stat("/proc/self/ns/mnt", &host); err != nil {
		t.Fatal(err)
	}
	selector := func(text string) *container.Selector {
		s, err := container.NewSelector(map[string]string{"containername": text})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	rows := func() [][]byte { return [][]byte{row(n.mount, 0, 0), row(host.Ino, n.net, 0), row(host.Ino, 3, 0)} }
	for name, c := range map[string]struct {
		options Options
		schema  *event.Schema
		want    string
	}{
		"all of the machine":       {Options{Host: true}, schema("s"), "[web web -]"},
		"containers only":          {Options{}, schema("s"), "[web web]"},
		"by mount namespace alone": {Options{}, schema("s", mountType), "[web]"},
		"by network alone":         {Options{}, schema("s", netType), "[web]"},
		"another one":              {Options{Selector: selector("db")}, schema("s"), "[]"},
		"all but one":              {Options{Selector: selector("!web")}, schema("s"), "[]"},
		"that one":                 {Options{Selector: selector("db,web")}, schema("s"), "[web web]"},
		"another one and the host": {Options{Selector: selector("db"), Host: true}, schema("s"), "[-]"},
		"no namespace":             {Options{}, schema("s", timeType), "[- - -]"},
	} {
		c.options.Set = n.set
		if got := keep(t, c.options, c.schema, rows()...); sprint(got) != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

// The stage finds a container that the set learns of only later.
func TestContainerComesLater(t *testing.T) {
	n := newNeighbour(t, "web")
	set, s := container.NewSet(""), schema("s")
	defer set.Close()
	find := bindAll(t, New(Options{Set: set, Host: true}), s)
	handles := func() []event.Handle {
		b := event.Batch{Schema: s, Rows: [][]byte{row(n.mount, 0, 0), row(0, n.net, 0)}}
		if err := find(&b); err != nil {
			t.Fatal(err)
		}
		column, _ := s.Fields[len(s.Fields)-1].Column()
		return column.Handles(&b)
	}
	if got := handles(); got[0] != 0 || got[1] != 0 {
		t.Errorf("before: handles %v", got)
	}
	if err := set.Put(container.RankHigh, n.id); err != nil {
		t.Fatal(err)
	}
	if got := handles(); set.At(got[0]) == nil || set.At(got[1]) == nil {
		t.Errorf("afterwards: handles %v", got)
	}
}

// bindAll binds the stage to a schema of which the sink needs all fields.
func bindAll(t testing.TB, st *Stage, s *event.Schema) pipeline.Func {
	t.Helper()
	if err := st.Extend(s); err != nil {
		t.Fatal(err)
	}
	var need event.FieldSet
	for i := range s.Fields {
		need.Add(i)
	}
	f, err := st.Bind(s, need)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func sprint(names []string) string {
	text := "["
	for i, name := range names {
		if i > 0 {
			text += " "
		}
		text += name
	}
	return text + "]"
}

// A gadget's own field with the name of a container's field stays unchanged.
func TestOwnFieldStays(t *testing.T) {
	n := newNeighbour(t, "web")
	s := schema("s")
	s.Fields[2].Name = "runtime.containerName"
	if err := New(Options{Set: n.set}).Extend(s); err != nil {
		t.Fatal(err)
	}
	if i, _ := s.Lookup("runtime.containerName"); i != 2 {
		t.Errorf("it is field %d", i)
	}
	if _, ok := s.Lookup("runtime.containerId"); !ok {
		t.Error("the others are missing")
	}
}

// Which names are columns depends on where gizmo runs.
func TestVisibleColumns(t *testing.T) {
	for kubernetes, want := range map[bool]string{false: "[runtime.containerName]", true: "[k8s.namespace k8s.podName k8s.containerName]"} {
		s := schema("s")
		if err := New(Options{Set: container.NewSet(""), Kubernetes: kubernetes}).Extend(s); err != nil {
			t.Fatal(err)
		}
		var visible []string
		for i := range s.Fields {
			if f := &s.Fields[i]; f.Added && f.HasValue() && !f.Ann.Columns.Hidden {
				visible = append(visible, f.Name)
			}
		}
		if sprint(visible) != want {
			t.Errorf("Kubernetes %v: %v, want %s", kubernetes, visible, want)
		}
	}
}

func BenchmarkStage(b *testing.B) {
	if os.Getuid() != 0 {
		b.Skip("it takes root to make namespaces")
	}
	n := newNeighbour(b, "web")
	s := schema("s")
	f := bindAll(b, New(Options{Set: n.set, Host: true}), s)
	const rows = 512
	batch := event.Batch{Schema: s}
	for range rows {
		batch.Rows = append(batch.Rows, row(n.mount, n.net, 1<<60))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		_ = f(&batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/event")
}
