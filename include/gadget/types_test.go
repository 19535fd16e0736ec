// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// markers are those that testdata/markers.bpf.c must have, and no others.
var markers = []string{
	"gadget_iter_old___entry___p1___p2",
	"gadget_iter_one___entry___p1",
	"gadget_iter_three___entry___p1___p2___p3",
	"gadget_iter_two___entry___p1___p2",
	"gadget_map_tracer_events",
	"gadget_map_tracer_more_events",
	"gadget_mapelem_iter_target_p3___stats",
	"gadget_mapiter_per_id___stats",
	"gadget_param_limit",
	"gadget_param_verbose",
	"gadget_sk_prog_target_verdict___socks",
	"gadget_tracer_close___more_events___event",
	"gadget_tracer_open___events___event",
}

// isConstVoidPointer reports whether t is "const void *".
func isConstVoidPointer(t btf.Type) bool {
	p, ok := t.(*btf.Pointer)
	if !ok {
		return false
	}
	c, ok := p.Target.(*btf.Const)
	if !ok {
		return false
	}
	_, ok = c.Type.(*btf.Void)
	return ok
}

// vars are the variables in an object's BTF.
func vars(t *testing.T, spec *ebpf.CollectionSpec) map[string]*btf.Var {
	t.Helper()
	all := map[string]*btf.Var{}
	for typ, err := range spec.Types.All() {
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := typ.(*btf.Var); ok {
			all[v.Name] = v
		}
	}
	return all
}

func TestMarkers(t *testing.T) {
	var got []string
	for name, v := range vars(t, parse(t, "markers")) {
		if !isConstVoidPointer(v.Type) {
			continue
		}
		got = append(got, name)
		if v.Linkage != btf.GlobalVar {
			t.Errorf("%s: linkage %v", name, v.Linkage)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, markers) {
		t.Errorf("got  %q\nwant %q", got, markers)
	}
}

// The types that markers name must be in BTF, although only local pointers use
// them.
func TestMarkersKeepTypes(t *testing.T) {
	spec := parse(t, "markers")
	for _, name := range []string{"event", "entry", "stats_key", "stats_value"} {
		var s *btf.Struct
		if err := spec.Types.TypeByName(name, &s); err != nil || len(s.Members) == 0 {
			t.Errorf("struct %s: %v, %v", name, s, err)
		}
	}
}

func TestTracerMap(t *testing.T) {
	spec := parse(t, "markers")
	for name, size := range map[string]uint32{"events": 256 << 10, "more_events": 4096} {
		if m := spec.Maps[name]; m.Type != ebpf.RingBuf || m.MaxEntries != size {
			t.Errorf("%v", m)
		}
		m := spec.Maps[name+"_lost_samples"]
		if m.Type != ebpf.PerCPUArray || m.MaxEntries != 1 || m.ValueSize != 8 {
			t.Errorf("%v", m)
		}
	}
}

// A parameter's variable has the type and the default that the C says.
func TestParams(t *testing.T) {
	spec := parse(t, "markers")
	var limit uint32
	var verbose bool
	if err := spec.Variables["limit"].Get(&limit); err != nil || limit != 7 {
		t.Error(limit, err)
	}
	if err := spec.Variables["verbose"].Get(&verbose); err != nil || !verbose {
		t.Error(verbose, err)
	}

	filter := parse(t, "filter")
	all := vars(t, filter)
	for name, want := range map[string]struct{ typ, value string }{
		"targ_pid":  {"gadget_pid", "\x00\x00\x00\x00"},
		"targ_tid":  {"gadget_tid", "\x00\x00\x00\x00"},
		"targ_uid":  {"gadget_uid", "\xff\xff\xff\xff"},
		"targ_gid":  {"gadget_gid", "\xff\xff\xff\xff"},
		"targ_comm": {"gadget_comm", strings.Repeat("\x00", 16)},
	} {
		v := filter.Variables[name]
		if !v.Constant() || string(v.Value) != want.value || all["gadget_param_"+name] == nil {
			t.Errorf("%s: %v", name, v)
		}
		if got := typedefOf(v.Type.Type); got != want.typ {
			t.Errorf("%s is a %s", name, got)
		}
	}
	// Variables that only the loader sets are no parameters.
	for _, name := range []string{"gadget_filter_by_mntns", "gadget_force_perf_buffer", "gadget_wakeup_bytes"} {
		if all["gadget_param_"+name] != nil {
			t.Errorf("%s is a parameter", name)
		}
	}
}

// typedefOf is the outermost typedef of a variable or of an array's elements.
func typedefOf(t btf.Type) string {
	for {
		switch u := t.(type) {
		case *btf.Const:
			t = u.Type
		case *btf.Volatile:
			t = u.Type
		case *btf.Array:
			t = u.Type
		case *btf.Typedef:
			return u.Name
		default:
			return ""
		}
	}
}

func TestTypedefs(t *testing.T) {
	spec := parse(t, "markers")
	widths := map[string]uint32{
		"gadget_mntns_id": 8, "gadget_netns_id": 4, "gadget_timestamp": 8, "gadget_signal": 4,
		"gadget_errno": 4, "gadget_syscall": 8, "gadget_file_mode": 4, "gadget_file_flags": 4,
		"gadget_kernel_stack": 4, "gadget_uid": 4, "gadget_gid": 4, "gadget_pid": 4, "gadget_tid": 4,
		"gadget_ppid": 4, "gadget_ptid": 4, "gadget_comm": 1, "gadget_pcomm": 1, "gadget_bytes": 8,
		"gadget_duration": 8, "gadget_counter__u32": 4, "gadget_counter__u64": 8, "gadget_gauge__u32": 4,
		"gadget_gauge__u64": 8, "gadget_histogram_slot__u32": 4, "gadget_histogram_slot__u64": 8,
	}
	for name, width := range widths {
		var typedef *btf.Typedef
		if err := spec.Types.TypeByName(name, &typedef); err != nil {
			t.Error(err)
			continue
		}
		i, ok := btf.UnderlyingType(typedef).(*btf.Int)
		if !ok || i.Size != width || (width > 1) == (i.Encoding == btf.Signed) {
			t.Errorf("%s is %v", name, i)
		}
	}
}

// member is a member that a loader shows: neither private nor a second name of another.
type member struct {
	name string
	off  uint32
}

// members flattens a struct as loaders do, without aliases.
func members(t *testing.T, ms []btf.Member, base uint32, prefix string) (all []member) {
	t.Helper()
	for _, m := range ms {
		if td, ok := m.Type.(*btf.Typedef); ok && strings.HasPrefix(td.Name, "__gadget_alias_") {
			continue
		}
		off, name := base+m.Offset.Bytes(), prefix+m.Name
		if m.Name != "" {
			name += "."
		}
		switch u := btf.UnderlyingType(m.Type).(type) {
		case *btf.Struct:
			all = append(all, members(t, u.Members, off, name)...)
		case *btf.Union:
			all = append(all, members(t, u.Members, off, name)...)
		default:
			all = append(all, member{strings.TrimSuffix(name, "."), off})
		}
	}
	return all
}

func TestStructs(t *testing.T) {
	spec := parse(t, "markers")
	tests := []struct {
		name string
		size uint32
		want []member
	}{
		{"gadget_l3endpoint_t", 20, []member{{"addr_raw.v6", 0}, {"addr_raw.v4", 0}, {"version", 16}}},
		{"gadget_l4endpoint_t", 24, []member{
			{"addr_raw.v6", 0}, {"addr_raw.v4", 0}, {"port", 16}, {"proto", 18}, {"version", 20},
		}},
		{"gadget_process", 64, []member{
			{"comm", 0}, {"pid", 16}, {"tid", 20}, {"mntns_id", 24}, {"creds.uid", 32}, {"creds.gid", 36},
			{"parent.comm", 40}, {"parent.pid", 56}, {"parent.tid", 60},
		}},
		{"gadget_user_stack", 72, []member{
			{"major", 0}, {"minor", 4}, {"inode", 8}, {"mtime_sec", 16}, {"mtime_nsec", 24},
			{"base_addr_hash", 28}, {"stack_id", 32}, {"tgid_level0", 36}, {"pid_level0", 40},
			{"pidns_level0", 44}, {"pid_level1", 48}, {"pidns_level1", 52}, {"otel_correlation_id", 56},
			{"boot_timestamp", 64},
		}},
	}
	for _, tt := range tests {
		var s *btf.Struct
		if err := spec.Types.TypeByName(tt.name, &s); err != nil {
			t.Error(err)
			continue
		}
		if got := members(t, s.Members, 0, ""); !slices.Equal(got, tt.want) || s.Size != tt.size {
			t.Errorf("%s: %d bytes, %v", tt.name, s.Size, got)
		}
	}
}
