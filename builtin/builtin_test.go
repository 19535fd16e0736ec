// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package builtin

import (
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/semtype"
)

// compose makes a schema as a run does.
func compose(t *testing.T, src *Source, only []string) *event.Schema {
	t.Helper()
	s, spec := src.Schema(only), src.Annotations(only)
	if err := semtype.Apply(s, semtype.Types(), &semtype.Env{}, spec); err != nil {
		t.Fatal(err)
	}
	if err := spec.Check(s); err != nil {
		t.Fatal(err)
	}
	return s
}

// Each field has a description and a width, and the rows fit the schema.
func TestSchemas(t *testing.T) {
	t.Parallel()
	sizes := map[Kind]uintptr{Programs: unsafe.Sizeof(ProgramRow{}), Processes: unsafe.Sizeof(ProcessRow{}), Cgroups: unsafe.Sizeof(CgroupRow{})}
	for _, kind := range Kinds() {
		src := Of(kind)
		s := compose(t, src, nil)
		if src.Kind != kind || src.Interval <= 0 || s.Single || uintptr(s.Size) != sizes[kind] {
			t.Errorf("%s: %+v", src.Name, s)
		}
		end := uint32(0)
		for _, f := range s.Fields {
			if f.Ann.Description == "" || !f.Ann.Columns.Hidden && f.Ann.Columns.Width == 0 {
				t.Errorf("%s.%s says too little: %+v", src.Name, f.Name, f.Ann)
			}
			if !f.Added && (f.Off < end || f.Off+f.Size > s.Size) {
				t.Errorf("%s.%s is at %d, %d", src.Name, f.Name, f.Off, f.Size)
			}
			if !f.Added {
				end = f.Off + f.Size
			}
		}
		for name := range src.Annotations(nil).Fields {
			if _, ok := s.Lookup(name); !ok {
				t.Errorf("%s has no field %s", src.Name, name)
			}
		}
		if _, err := src.Annotations(nil).ParseSource(); err != nil {
			t.Error(err)
		}
	}
}

func TestValuesOfRows(t *testing.T) {
	t.Parallel()
	s := compose(t, Of(Processes), nil)
	rows := []ProcessRow{{PID: 1}, {PID: 7, Nice: -5, CPUUsage: 12.5, Resident: 1 << 20, State: [2]byte{'S'}, MountNS: 1 << 40}}
	copy(rows[1].Comm[:], "sixteen-bytes-ab")
	var b event.Batch
	b.Reset(s)
	b.Rows = AppendRows(b.Rows, rows)
	for name, want := range map[string]string{
		"pid": "7", "comm": "sixteen-bytes-ab", "nice": "-5", "cpuUsage": "12.5", "memoryRSS_raw": "1048576", "memoryRSS": "1.0 MB",
		"state": "S", "mountnsid": "1099511627776",
	} {
		r, err := s.ReaderOf(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.String(&b, 1); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// The field with the mount namespace is the one by which containers are found.
func TestContainerFields(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{Processes, Cgroups} {
		if !slices.ContainsFunc(Of(kind).Schema(nil).Fields, func(f event.Field) bool { return f.HasType("gadget_mntns_id") }) {
			t.Errorf("%s has none", Of(kind).Name)
		}
	}
}

func TestChosenFields(t *testing.T) {
	t.Parallel()
	s := compose(t, Of(Processes), []string{"memoryRSS", "startTime", "uid", "nonsense"})
	var names []string
	for _, f := range s.Fields {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "pid memoryRSS_raw uid startTime startTimeStr mountnsid memoryRSS user" {
		t.Errorf("got %s", got)
	}
	if all := Of(Processes).FieldNames(); !slices.Contains(all, "memoryRSS") || !slices.Contains(all, "memoryRSS_raw") || slices.Contains(all, "user") {
		t.Errorf("%v", all)
	}
}

// A gadget's annotations do not change those of the next one.
func TestAnnotationsAreNew(t *testing.T) {
	t.Parallel()
	a, b := Of(Programs).Annotations(nil), Of(Programs).Annotations(nil)
	a.SetField("progName", "columns.width", "1")
	if b.Fields["progName"]["columns.width"] == "1" {
		t.Error("they are shared")
	}
	var none *annotation.Spec
	if annotation.Merge(a, none).Fields["progName"]["metrics.type"] != "key" {
		t.Error("the name is no label of metrics")
	}
}
