// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// targets are the filters that a user can set; the zero value sets none.
type targets struct {
	PID, TID uint32
	UID, GID *uint32
	Comm     string
	Mntns    []uint64 // nil: filter off
}

func id(n uint32) *uint32 { return &n }

// subject is the process of an event, as the event describes it.
type subject struct {
	mntns              uint64
	pid, tid, uid, gid uint32
	comm               string
	unknown            bool // a socket without a known owner
}

var someone = subject{mntns: 4026531841, pid: 100, tid: 101, uid: 1000, gid: 2000, comm: "worker"}

func loadFilter(t *testing.T, want targets, s subject) *ebpf.Collection {
	t.Helper()
	set := globals{
		"targ_pid": want.PID, "targ_tid": want.TID,
		"targ_comm": cstring(want.Comm), "event_comm": cstring(s.comm),
		"gadget_filter_by_mntns": want.Mntns != nil,
		"owner_known":            !s.unknown,
	}
	// Left alone where the user doesn't set them: their defaults count.
	if want.UID != nil {
		set["targ_uid"] = *want.UID
	}
	if want.GID != nil {
		set["targ_gid"] = *want.GID
	}
	set["owner"] = struct {
		Mntns, PidTgid, UIDGID uint64
		Task                   [16]byte
	}{
		s.mntns, uint64(s.pid)<<32 | uint64(s.tid), uint64(s.gid)<<32 | uint64(s.uid), cstring(s.comm),
	}
	coll := load(t, parse(t, "filter"), set)
	for _, mntns := range want.Mntns {
		if err := coll.Maps["gadget_mntns_filter_map"].Put(mntns, uint32(1)); err != nil {
			t.Fatal(err)
		}
	}
	return coll
}

var filterTests = []struct {
	name    string
	by      string // the helper for this field, if only one field matters
	want    targets
	discard bool
}{
	{name: "nothing set"},
	{"pid", "pid", targets{PID: 100}, false},
	{"pid differs", "pid", targets{PID: 101}, true},
	{"tid", "tid", targets{TID: 101}, false},
	{"tid differs", "tid", targets{TID: 100}, true},
	{"uid", "uid", targets{UID: id(1000)}, false},
	{"uid differs", "uid", targets{UID: id(2000)}, true},
	{"uid differs, root", "uid", targets{UID: id(0)}, true},
	{"gid", "gid", targets{GID: id(2000)}, false},
	{"gid differs", "gid", targets{GID: id(1000)}, true},
	{"gid differs, root", "gid", targets{GID: id(0)}, true},
	{"comm", "comm", targets{Comm: "worker"}, false},
	{"comm is longer", "comm", targets{Comm: "work"}, true},
	{"comm is shorter", "comm", targets{Comm: "workers"}, true},
	{"comm differs", "comm", targets{Comm: "Worker"}, true},
	{"container", "mntns", targets{Mntns: []uint64{1, 4026531841}}, false},
	{"container differs", "mntns", targets{Mntns: []uint64{1}}, true},
	{"no containers", "mntns", targets{Mntns: []uint64{}}, true},
	{"all", "", targets{100, 101, id(1000), id(2000), "worker", []uint64{4026531841}}, false},
	{"all but pid", "", targets{1, 101, id(1000), id(2000), "worker", []uint64{4026531841}}, true},
	{"all but comm", "", targets{100, 101, id(1000), id(2000), "w", []uint64{4026531841}}, true},
	{"all but container", "", targets{100, 101, id(1000), id(2000), "worker", []uint64{5}}, true},
}

// each runs the helper of one field on that field of s.
func each(t *testing.T, coll *ebpf.Collection, field string, s subject) bool {
	t.Helper()
	arg := map[string]uint64{
		"pid": uint64(s.pid), "tid": uint64(s.tid), "uid": uint64(s.uid), "gid": uint64(s.gid), "mntns": s.mntns,
	}[field]
	return run(t, coll.Programs[field], arg) == 1
}

func data(t *testing.T, coll *ebpf.Collection, prog string, s subject) bool {
	t.Helper()
	return run(t, coll.Programs[prog], s.mntns, uint64(s.pid), uint64(s.tid), uint64(s.uid), uint64(s.gid)) == 1
}

func TestFilters(t *testing.T) {
	requireKernel(t)
	fields := []string{"pid", "tid", "uid", "gid", "comm", "mntns"}
	for _, tt := range filterTests {
		t.Run(tt.name, func(t *testing.T) {
			coll := loadFilter(t, tt.want, someone)
			for _, prog := range []string{"data", "process"} {
				if got := data(t, coll, prog, someone); got != tt.discard {
					t.Errorf("%s: discard is %v", prog, got)
				}
			}
			if got := run(t, coll.Programs["data_by_skb"]) == 1; got != tt.discard {
				t.Errorf("data_by_skb: discard is %v", got)
			}
			if tt.by == "" && tt.discard {
				return // the other filters may give another result
			}
			for _, field := range fields {
				want := tt.discard && field == tt.by
				if got := each(t, coll, field, someone); got != want {
					t.Errorf("%s: discard is %v", field, got)
				}
			}
		})
	}
}

// Names that fill the array, and bytes after the end that aren't zero.
func TestFilterCommEnds(t *testing.T) {
	requireKernel(t)
	tests := []struct {
		want, have string
		discard    bool
	}{
		{"fifteen-chars-x", "fifteen-chars-x", false},
		{"fifteen-chars-x", "fifteen-chars-y", true},
		{"sixteen-chars-xx", "sixteen-chars-xx", false},
		{"sixteen-chars-xx", "sixteen-chars-xy", true},
		{"sh", "sh\x00left behind", false},
		{"", "sh", false},
		{"sh", "", true},
	}
	for _, tt := range tests {
		s := someone
		s.comm = tt.have
		coll := loadFilter(t, targets{Comm: tt.want}, s)
		if got := each(t, coll, "comm", s); got != tt.discard {
			t.Errorf("--comm %q, %q: discard is %v", tt.want, tt.have, got)
		}
	}
}

// A socket whose owner isn't known passes only if no filter of processes is set. Its container is found in user space.
func TestFilterUnknownOwner(t *testing.T) {
	requireKernel(t)
	tests := []targets{
		{}, {Mntns: []uint64{1}}, {PID: 1}, {TID: 1}, {UID: id(0)}, {GID: id(0)}, {Comm: "x"},
	}
	for i, want := range tests {
		coll := loadFilter(t, want, subject{unknown: true})
		if got := run(t, coll.Programs["data_by_skb"]) == 1; got != (i > 1) {
			t.Errorf("%+v: discard is %v", want, got)
		}
	}
}

func TestFilterCurrent(t *testing.T) {
	requireKernel(t)
	onOwnThread(func() {
		const name = "filter-me"
		setComm(t, name)
		pid, tid, mntns := uint32(os.Getpid()), uint32(unix.Gettid()), ownMntns(t)
		uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
		tests := []struct {
			name    string
			want    targets
			discard bool
		}{
			{"nothing set", targets{}, false},
			{"pid", targets{PID: pid}, false},
			{"pid differs", targets{PID: pid + 1}, true},
			{"tid", targets{TID: tid}, false},
			{"tid differs", targets{TID: tid + 1}, true},
			{"tid, pid differs", targets{PID: pid + 1, TID: tid}, true},
			{"uid", targets{UID: &uid}, false},
			{"uid differs", targets{UID: id(uid + 1)}, true},
			{"gid", targets{GID: &gid}, false},
			{"gid differs", targets{GID: id(gid + 1)}, true},
			{"comm", targets{Comm: name}, false},
			{"comm differs", targets{Comm: name + "!"}, true},
			{"container", targets{Mntns: []uint64{mntns}}, false},
			{"container differs", targets{Mntns: []uint64{mntns + 1}}, true},
			{"all", targets{pid, tid, &uid, &gid, name, []uint64{mntns}}, false},
		}
		for _, tt := range tests {
			coll := loadFilter(t, tt.want, someone)
			if got := run(t, coll.Programs["data_current"]) == 1; got != tt.discard {
				t.Errorf("%s: discard is %v", tt.name, got)
			}
		}
	})
}

// In the loaded program, as the kernel shows it, the reads for unset filters are gone,
// and so is nearly all of the rest.
func TestUnsetFiltersVanish(t *testing.T) {
	requireKernel(t)
	calls, insns := loaded(t, "data_current", targets{})
	if calls != 0 {
		t.Errorf("%d calls though nothing is set", calls)
	}
	if insns > 40 {
		t.Errorf("%d instructions though nothing is set", insns)
	}
	t.Logf("unset: %d instructions", insns)

	for name, want := range map[string]targets{
		"pid": {PID: 1}, "tid": {TID: 1}, "uid": {UID: id(1)}, "gid": {GID: id(1)}, "comm": {Comm: "x"},
	} {
		// One at most: newer kernels inline some helpers.
		calls, more := loaded(t, "data_current", want)
		if calls > 1 || more <= insns {
			t.Errorf("%s: %d calls, %d instructions", name, calls, more)
		}
	}
	_, all := loaded(t, "data_current", targets{1, 1, id(1), id(1), "fifteen-chars-x", []uint64{1}})
	t.Logf("all set: %d instructions", all)
}

// loaded returns how many calls and instructions the kernel left in a program.
func loaded(t *testing.T, name string, want targets) (calls, insns int) {
	t.Helper()
	info, err := loadFilter(t, want, someone).Programs[name].Info()
	if err != nil {
		t.Fatal(err)
	}
	all, err := info.Instructions()
	if err != nil {
		t.Fatal(err)
	}
	return countCalls(all), len(all)
}

func countCalls(insns asm.Instructions) (calls int) {
	for _, ins := range insns {
		if ins.IsBuiltinCall() || ins.IsKfuncCall() {
			calls++
		}
	}
	return calls
}
