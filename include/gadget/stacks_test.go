// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// userStack is struct gadget_user_stack.
type userStack struct {
	Major, Minor                       uint32
	Inode, MtimeSec                    uint64
	MtimeNsec, BaseAddrHash            uint32
	StackID                            int32
	TgidLevel0, PidLevel0, PidnsLevel0 uint32
	PidLevel1, PidnsLevel1             uint32
	OtelCorrelationID, BootTimestamp   uint64
}

const stackDepth = 127

// loadStacks loads testdata/stacks.bpf.c with maps as large as the tests need.
func loadStacks(t *testing.T, set globals) *ebpf.Collection {
	t.Helper()
	spec := parse(t, "stacks")
	spec.Maps["ig_build_id"].MaxEntries = 16
	return load(t, spec, set)
}

func stackOf(t *testing.T, coll *ebpf.Collection) (s userStack) {
	t.Helper()
	if err := coll.Maps["stack"].Lookup(uint32(0), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// addresses returns the addresses of a stack in one of the maps.
func addresses(t *testing.T, stacks *ebpf.Map, id int32) []uint64 {
	t.Helper()
	if id < 0 {
		t.Fatal("no stack: ", unix.Errno(-id))
	}
	frames := make([]uint64, stackDepth)
	if err := stacks.Lookup(uint32(id), &frames); err != nil {
		t.Fatal(err)
	}
	for i, frame := range frames {
		if frame == 0 {
			return frames[:i]
		}
	}
	return frames
}

// functions are the names of Go's functions at the addresses.
func functions(frames []uint64) (names string) {
	for _, frame := range frames {
		if f := runtime.FuncForPC(uintptr(frame)); f != nil {
			names += f.Name() + " "
		}
	}
	return names
}

// expected describes the current thread by system calls and /proc.
func expected(t *testing.T, got userStack) userStack {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/exe", &st); err != nil {
		t.Fatal(err)
	}
	return userStack{
		Major: unix.Major(st.Dev), Minor: unix.Minor(st.Dev), Inode: st.Ino,
		MtimeSec: uint64(st.Mtim.Sec), MtimeNsec: uint32(st.Mtim.Nsec),
		BaseAddrHash: baseAddrHash(t),
		StackID:      got.StackID,
		TgidLevel0:   uint32(os.Getpid()), PidLevel0: uint32(unix.Gettid()), PidnsLevel0: pidns(t, "self"),
		BootTimestamp: got.BootTimestamp,
	}
}

// baseAddrHash hashes the start addresses of the program and of its first stack, from /proc.
func baseAddrHash(t *testing.T) uint32 {
	t.Helper()
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest) // from the third on
	hash := fnv.New32a()
	for _, number := range []int{26, 28} {
		n, err := strconv.ParseUint(fields[number-3], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		hash.Write(binary.LittleEndian.AppendUint64(nil, n))
	}
	return hash.Sum32()
}

func pidns(t *testing.T, pid string) uint32 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat("/proc/"+pid+"/ns/pid", &st); err != nil {
		t.Fatal(err)
	}
	return uint32(st.Ino)
}

func bootTime(t *testing.T) uint64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		t.Fatal(err)
	}
	return uint64(now.Nano())
}

func TestUserStack(t *testing.T) {
	requireKernel(t)
	coll := loadStacks(t, globals{"collect_ustack": true})
	for prog, args := range map[string][]uint64{"user": nil, "user_if": {1}} {
		t.Run(prog, func(t *testing.T) {
			onOwnThread(func() { testUserStack(t, coll, prog, args) })
		})
	}
}

func testUserStack(t *testing.T, coll *ebpf.Collection, prog string, args []uint64) {
	before := bootTime(t)
	if run(t, coll.Programs[prog], args...) != 0 {
		t.Fatal("no map")
	}
	after := bootTime(t)
	got := stackOf(t, coll)
	if want := expected(t, got); got != want {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	if got.BootTimestamp < before || got.BootTimestamp > after {
		t.Errorf("taken at %d, not in %d..%d", got.BootTimestamp, before, after)
	}
	names := functions(addresses(t, coll.Maps["ig_ustack"], got.StackID))
	for _, want := range []string{"syscall", "testUserStack"} {
		if !strings.Contains(names, want) {
			t.Errorf("%s is not on the stack: %s", want, names)
		}
	}
	// Build ids are not requested.
	if err := coll.Maps["ig_build_id"].Lookup(uint32(got.StackID), make([]byte, stackDepth*32)); err == nil {
		t.Error("there are build ids")
	}
}

// A stack that is not collected is all zeros.
func TestUserStackNotCollected(t *testing.T) {
	requireKernel(t)
	coll := loadStacks(t, nil)
	for prog, args := range map[string][]uint64{"user": nil, "user_if": {0}} {
		run(t, coll.Programs[prog], args...)
		if got := stackOf(t, coll); got != (userStack{}) {
			t.Errorf("%s: %+v", prog, got)
		}
	}
	if run(t, coll.Programs["user_if"], 1); stackOf(t, coll).Inode == 0 {
		t.Error("the argument does not count")
	}
}

// In a pid namespace of its own a process has two numbers.
func TestUserStackInPidNamespace(t *testing.T) {
	requireKernel(t)
	coll := loadStacks(t, globals{"only_nr": uint64(unix.SYS_EXIT_GROUP), "only_comm": cstring("true")})
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "sys_enter", Program: coll.Programs["user_of"]})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	child := exec.Command("true")
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	got := stackOf(t, coll)
	pid := uint32(child.Process.Pid)
	if got.TgidLevel0 != pid || got.PidLevel0 != pid || got.PidLevel1 != 1 {
		t.Errorf("got %+v, want %d and 1", got, pid)
	}
	if got.PidnsLevel0 != pidns(t, "self") || got.PidnsLevel1 == got.PidnsLevel0 || got.PidnsLevel1 == 0 {
		t.Errorf("namespaces %d and %d", got.PidnsLevel0, got.PidnsLevel1)
	}
	var st unix.Stat_t
	if err := unix.Stat(look(t, "true"), &st); err != nil {
		t.Fatal(err)
	}
	if got.Inode != st.Ino || got.MtimeSec != uint64(st.Mtim.Sec) {
		t.Errorf("the program is %+v, want inode %d", got, st.Ino)
	}
}

func look(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// mapping is a part of a file in a process's memory.
type mapping struct {
	start, end, offset uint64
	path               string
}

func mappings(t *testing.T, pid int) (all []mapping) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		var m mapping
		var mode, device string
		var inode uint64
		if _, err := fmt.Sscanf(line, "%x-%x %s %x %s %d %s", &m.start, &m.end, &mode, &m.offset, &device, &inode, &m.path); err == nil {
			all = append(all, m)
		}
	}
	return all
}

// buildID reads it out of a file, and is nil if there is none.
func buildID(t *testing.T, path string) []byte {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		return nil // [vdso] and the like
	}
	defer f.Close()
	section := f.Section(".note.gnu.build-id")
	if section == nil {
		return nil
	}
	note, err := section.Data()
	if err != nil {
		t.Fatal(err)
	}
	return note[16:] // sizes, type, "GNU"
}

// Those of a C program, since the kernel does not find that of Go's: the linker leaves it out of the
// notes that are loaded.
func TestUserStackBuildIDs(t *testing.T) {
	requireKernel(t)
	coll := loadStacks(t, globals{"only_nr": uint64(unix.SYS_READ), "only_comm": cstring("cat"), "collect_build_id": true})
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "sys_enter", Program: coll.Programs["user_of"]})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	child := exec.Command("cat")
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer stdin.Close()
	waitForState(t, child.Process.Pid, "S") // in the call that matters

	id := stackOf(t, coll).StackID
	frames := addresses(t, coll.Maps["ig_ustack"], id)
	var ids [stackDepth]struct {
		Status int32
		ID     [20]byte
		Offset uint64
	}
	if err := coll.Maps["ig_build_id"].Lookup(uint32(id), &ids); err != nil {
		t.Fatal(err)
	}
	const valid = 1
	found := 0
	for i, frame := range frames {
		for _, m := range mappings(t, child.Process.Pid) {
			if frame < m.start || frame >= m.end || ids[i].Status != valid {
				continue
			}
			found++
			if want := buildID(t, m.path); !bytes.Equal(ids[i].ID[:], want) || ids[i].Offset != frame-m.start+m.offset {
				t.Errorf("frame %d: %+v, want %x of %s at %#x", i, ids[i], want, m.path, frame-m.start+m.offset)
			}
		}
	}
	if found == 0 || ids[len(frames)].Status == valid {
		t.Errorf("%d frames have a build id, of %d", found, len(frames))
	}
}

func TestKernelStack(t *testing.T) {
	requireKernel(t)
	coll := loadStacks(t, nil)
	id := int32(run(t, coll.Programs["kernel"]))
	frames := addresses(t, coll.Maps["ig_kstack"], id)
	symbols, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	// The nearest symbol before each address.
	names := make([]string, len(frames))
	nearest := make([]uint64, len(frames))
	for line := range strings.Lines(string(symbols)) {
		fields := strings.Fields(line)
		address, err := strconv.ParseUint(fields[0], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		for i, frame := range frames {
			if address <= frame && address >= nearest[i] {
				nearest[i], names[i] = address, fields[2]
			}
		}
	}
	if stack := strings.Join(names, " "); !strings.Contains(stack, "bpf_prog_test_run") && !strings.Contains(stack, "sys_bpf") {
		t.Errorf("the call of bpf is not on the stack: %s", stack)
	}
}
