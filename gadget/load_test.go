// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// The values of params reach the kernel: those of the user before those of gadget.yaml, before the
// initial values of the variables. A load leaves nothing of its own in the image.
func TestParamsReachTheKernel(t *testing.T) {
	r := fixture.Compile(t, "tracer")
	yaml := string(r.Metadata)
	user := map[string]string{
		"param_flag": "false", "param_u8": "0xff", "param_s8": "-1", "param_u16": "17", "param_s16": "12", "param_u32": "1",
		"param_s32": "-7", "param_u64": "18446744073709551615", "param_s64": "5", "param_f": "-2.25", "param_d": "1e-9",
		"param_text": "by user!", "param_colour": "BLUE", "param_turn": "LEFT", "param_big": "SMALL",
	}
	for _, c := range []struct {
		name, yaml string
		user       map[string]string
		want       string
	}{
		{"initial values", "", nil, "colour_raw=5 turn=-1 big=2147483648 u64=18000000000000000000 s64=-9000000000000000000 d=-0.1 " +
			"u32=4000000000 s32=-2000000000 f=1.5 u16=60000 s16=-30000 u8=200 s8=-100 flag=true text=initial"},
		{"of the user", yaml, user, "colour_raw=6 turn=-1 big=1 u64=18446744073709551615 s64=5 d=1e-09 " +
			"u32=1 s32=-7 f=-2.25 u16=17 s16=12 u8=255 s8=-1 flag=false text=by user!"},
		{"of gadget.yaml", yaml, nil, "colour_raw=5 turn=1 big=2147483648 u64=18000000000000000000 s64=-9000000000000000000 d=-0.1 " +
			"u32=4000000000 s32=-2000000000 f=1.5 u16=16 s16=-30000 u8=7 s8=-100 flag=true text=yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			img, err := parseObject(r.Object, c.yaml)
			if err != nil {
				t.Fatal(err)
			}
			if got := tellParams(t, img, c.user); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got := tellParams(t, img, nil); c.user != nil && got == c.want {
				t.Error("the image has kept the user's values")
			}
		})
	}
}

// tellParams runs the fixture "tracer" and returns the params that it reports.
func tellParams(t *testing.T, img *image.Image, user map[string]string) string {
	t.Helper()
	values := make(map[string]image.Value)
	for name, text := range user {
		p, ok := img.Param(name)
		if !ok {
			t.Fatal("no param", name)
		}
		v, err := p.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		values[p.Var] = v
	}
	g := start(t, img, LoadOptions{Params: values})
	g.call(0)
	found := drain(t, g.source(t))
	if len(found.rows) != 1 {
		t.Fatalf("%d events, want 1", len(found.rows))
	}
	return tellFields(g.source(t).Schemas()[0], found.rows[0])
}

func tellFields(s *event.Schema, row []byte) string {
	var all []string
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Parent != event.NoParent || f.Kind == event.Struct || f.Rest || f.Count > 0 || f.Name == "timestamp_raw" || f.Name == "rest_len" {
			continue
		}
		all = append(all, f.Name+"="+tellValue(&event.Field{Kind: f.Kind, Size: f.Size}, row[f.Off:f.Off+f.Size]))
	}
	return strings.Join(all, " ")
}

// A param that is an address reaches the kernel as the struct that the program compares with.
func TestAddressParamReachesTheKernel(t *testing.T) {
	img := parse(t, "address")
	p, _ := img.Param("only")
	for text, want := range map[string]string{
		"192.0.2.1":   "c0000201000000000000000000000000 04",
		"2001:db8::1": "20010db8000000000000000000000001 06",
		"":            "00000000000000000000000000000000 00",
	} {
		values := make(map[string]image.Value)
		if text != "" {
			v, err := p.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			values[p.Var] = v
		}
		g := start(t, img, LoadOptions{Params: values})
		g.call(0)
		found := drain(t, g.source(t))
		if len(found.rows) != 1 {
			t.Fatalf("%q: %d events, want 1", text, len(found.rows))
		}
		if got := fmt.Sprintf("%x %x", found.rows[0][:16], found.rows[0][16:17]); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// The filters of <gadget/filter.h> work: with a filter that matches no process there are no events.
func TestFilterParams(t *testing.T) {
	img := parse(t, "tracer")
	for _, c := range []struct {
		key, text string
		want      int
	}{{"pid", fmt.Sprint(os.Getpid()), 1}, {"pid", "1", 0}, {"comm", "no such name", 0}, {"uid", "12345", 0}, {"gid", "0", 1}} {
		p, ok := img.Param(c.key)
		if !ok {
			t.Fatal("no param", c.key)
		}
		v, err := p.Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		g := start(t, img, LoadOptions{Params: map[string]image.Value{p.Var: v}})
		g.call(0)
		if got := len(drain(t, g.source(t)).rows); got != c.want {
			t.Errorf("--%s %s: %d events, want %d", c.key, c.text, got, c.want)
		}
	}
}

func TestMapIsSizedInTheKernel(t *testing.T) {
	img := parse(t, "tracer")
	values := make(map[string]image.Value)
	setParam(t, img, values, "seen_max_entries", 321)
	g := load(t, img, LoadOptions{Params: values})
	if got := g.coll.Maps["seen"].MaxEntries(); got != 321 {
		t.Errorf("%d entries, want 321", got)
	}
}

func TestBufferSizeInTheKernel(t *testing.T) {
	img := parse(t, "records")
	for size, want := range map[int]uint32{0: uint32(DefaultBufferSize()), 5000: 8192} {
		g := load(t, img, LoadOptions{BufferSize: size})
		if got := g.coll.Maps["events"].MaxEntries(); got != want {
			t.Errorf("%d: the buffer has %d bytes, want %d", size, got, want)
		}
	}
}

func TestSourcesHaveTheirOwnSchemas(t *testing.T) {
	img := parse(t, "hooks")
	g := load(t, img, LoadOptions{})
	if len(g.Sources()) != len(img.DataSources) {
		t.Fatalf("%d sources for %d data sources", len(g.Sources()), len(img.DataSources))
	}
	for i, src := range g.Sources() {
		want := img.DataSources[i].Schema
		schemas := src.Schemas()
		if len(schemas) != 1 || schemas[0].Name != want.Name || schemas[0] == want {
			t.Fatalf("source %d: schemas %+v, want a copy of %q", i, schemas, want.Name)
		}
		before := len(want.Fields)
		schemas[0].Add(event.Field{Name: "added"})
		if len(want.Fields) != before {
			t.Error("extending it changed the image")
		}
	}
}

func TestAttachToMissingHooks(t *testing.T) {
	for program, want := range map[string]string{
		"gt_tp":  "program gt_tp: this kernel has no tracepoint syscalls/sys_enter_nothing (the file available_events in tracefs lists those it has): ",
		"gt_raw": "program gt_raw: this kernel has no raw tracepoint syscalls/sys_enter_nothing: ",
	} {
		yaml := "programs:\n"
		for _, p := range []string{"gt_tp", "gt_raw", "gt_btf"} {
			target := "gadget_program_disabled"
			if p == program {
				target = "syscalls/sys_enter_nothing"
			}
			yaml += "  " + p + ":\n    attach_to: " + target + "\n"
		}
		g := load(t, parseWith(t, "hooks", yaml), LoadOptions{})
		err := g.Attach()
		if err == nil || !strings.HasPrefix(err.Error(), want) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestLoadForMissingBTFTracepoint(t *testing.T) {
	kerneltest.RequireRoot(t)
	img := parseWith(t, "hooks", "programs:\n  gt_btf:\n    attach_to: sys_enter_nothing\n")
	_, err := Load(img, &LoadOptions{Params: busy(t, img)})
	want := "program gt_btf: this kernel has no BTF tracepoint sys_enter_nothing: "
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestVerifierError(t *testing.T) {
	kerneltest.RequireRoot(t)
	_, err := Load(parse(t, "rejected"), nil)
	var ve *VerifierError
	if !errors.As(err, &ve) {
		t.Fatalf("got %v, want a VerifierError", err)
	}
	if !strings.Contains(ve.Reason, "map_value_or_null") || strings.Contains(ve.Reason, "\n") || len(ve.Reason) > 200 {
		t.Errorf("reason %q", ve.Reason)
	}
	if got := ve.Error(); got != "program gt_rejected: the kernel's verifier rejected it: "+ve.Reason {
		t.Errorf("error %q", got)
	}
	if len(ve.Log) < 20 || !slices.ContainsFunc(ve.Log, func(line string) bool { return strings.Contains(line, "bpf_map_lookup_elem") }) {
		t.Errorf("a log of %d lines without the instructions", len(ve.Log))
	}
	var cause *ebpf.VerifierError
	if !errors.As(err, &cause) {
		t.Error("the library's error is lost")
	}
}

func TestPerfBufferNeedsItsConstant(t *testing.T) {
	kerneltest.RequireRoot(t)
	img := parse(t, "minimal")
	_, err := Load(img, &LoadOptions{PerfBuffer: true, Params: busy(t, img)})
	if err == nil || !strings.Contains(err.Error(), "this gadget cannot use perf buffers") {
		t.Errorf("got %v", err)
	}
}

// Programs which the params leave nothing to do are not loaded, and need no hook. If they are all of them, that is an error.
func TestIdleProgramsAreNotLoaded(t *testing.T) {
	kerneltest.RequireRoot(t)
	img := parseWith(t, "switched", "programs:\n  on_tp:\n    attach_to: syscalls/nothing\n  on_btf:\n    attach_to: nothing\n")
	_, err := Load(img, nil)
	var nothing *image.NothingToDoError
	if !errors.As(err, &nothing) || !slices.Equal(nothing.Params, []string{"watch_all", "watch_btf", "watch_raw", "watch_tp"}) {
		t.Errorf("got %v, %+v", err, nothing)
	}
	values := make(map[string]image.Value)
	setParam(t, img, values, "watch_raw", 1)
	g := start(t, img, LoadOptions{Params: values})
	for _, c := range g.Programs() {
		if loaded := g.coll.Programs[c.Program.Name] != nil; loaded != (c.Program.Name == "on_raw") || errors.Is(c.Why, errIdle) == loaded {
			t.Errorf("%s: loaded %v, %v", c.Program.Name, loaded, c.Why)
		}
	}
	if err := g.AttachTo("on_tp", "syscalls/sys_enter_getpgid"); err == nil || !strings.Contains(err.Error(), "the params leave it nothing to do") {
		t.Errorf("got %v", err)
	}
	if r := start(t, parse(t, "hooks"), LoadOptions{}); r.attachments() != 3 {
		t.Errorf("of programs that do something %d are attached, want 3", r.attachments())
	}
	values = make(map[string]image.Value)
	setParam(t, img, values, "watch_all", 1)
	if _, err := Load(img, &LoadOptions{Params: values}); err == nil || !strings.Contains(err.Error(), "program on_btf: this kernel has no BTF tracepoint nothing") {
		t.Errorf("with all params: %v", err)
	}
}

func TestDetach(t *testing.T) {
	g := start(t, parse(t, "hooks"), LoadOptions{})
	g.call(1)
	for range 2 { // once more does no harm
		if err := g.Detach(); err != nil {
			t.Fatal(err)
		}
	}
	g.call(2)
	for _, src := range g.Sources() {
		if n := len(drain(t, src).rows); n != 1 {
			t.Errorf("%s: %d events, want the one from before", src.Schemas()[0].Name, n)
		}
	}
}

// Two runs of one image, loaded at the same time, do not affect each other.
func TestTwoGadgetsSideBySide(t *testing.T) {
	kerneltest.RequireRoot(t)
	img := parse(t, "hooks")
	var both [2]*running
	var wg sync.WaitGroup
	for i := range both {
		wg.Go(func() {
			r := &running{magic: newMagic()}
			values := make(map[string]image.Value)
			setParam(t, img, values, "magic", uint64(r.magic))
			setParam(t, img, values, "getpgid_nr", unix.SYS_GETPGID)
			var err error
			if r.Gadget, err = Load(img, &LoadOptions{Params: values}); err != nil {
				t.Error(err)
				return
			}
			both[i] = r
			if err := r.Attach(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, g := range both {
		if g != nil {
			defer g.Close()
		}
	}
	if t.Failed() {
		return
	}
	for i, g := range both {
		for range 10 * (i + 1) {
			g.call(uint16(i))
		}
	}
	for i, g := range both {
		for _, src := range g.Sources() {
			if n := len(drain(t, src).rows); n != 10*(i+1) {
				t.Errorf("run %d, %s: %d events, want %d", i, src.Schemas()[0].Name, n, 10*(i+1))
			}
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	buffers(t, func(t *testing.T, o LoadOptions) {
		before := kernelFDs()
		g := start(t, parse(t, "hooks"), o)
		programs, maps := kernelIDs(t, g.Gadget)
		if len(programs) != 3 || len(maps) < 6 {
			t.Fatalf("programs %v, maps %v", programs, maps)
		}
		g.call(1)
		if n := len(next(t, t.Context(), g.Sources()[0]).rows); n != 1 {
			t.Errorf("%d events", n)
		}
		for range 2 { // once more does no harm
			if err := g.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if after := kernelFDs(); !slices.Equal(after, before) {
			t.Errorf("descriptors %q, before %q", after, before)
		}
		for _, id := range programs {
			gone(t, "program", func() (io.Closer, error) { return ebpf.NewProgramFromID(id) })
		}
		for _, id := range maps {
			gone(t, "map", func() (io.Closer, error) { return ebpf.NewMapFromID(id) })
		}
	})
}

// A gadget that could not be loaded, or attached, leaves nothing either.
func TestFailureLeavesNothing(t *testing.T) {
	kerneltest.RequireRoot(t)
	before := kernelFDs()
	if _, err := Load(parse(t, "rejected"), nil); err == nil {
		t.Error("no error")
	}
	img := parseWith(t, "hooks", "programs:\n  gt_tp:\n    attach_to: syscalls/nothing\n") // the last to be attached
	values := make(map[string]image.Value)
	setParam(t, img, values, "magic", uint64(newMagic()))
	g, err := Load(img, &LoadOptions{Params: values})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Attach(); err == nil {
		t.Error("no error")
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if after := kernelFDs(); !slices.Equal(after, before) {
		t.Errorf("descriptors %q, before %q", after, before)
	}
}

func kernelIDs(t *testing.T, g *Gadget) (programs []ebpf.ProgramID, maps []ebpf.MapID) {
	t.Helper()
	for _, p := range g.coll.Programs {
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		programs = append(programs, id)
	}
	for _, m := range g.coll.Maps {
		info, err := m.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		maps = append(maps, id)
	}
	return programs, maps
}

// gone waits for the kernel to free something, which it does a little later.
func gone(t *testing.T, what string, open func() (io.Closer, error)) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := open()
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Errorf("a %s is still in the kernel", what)
			return
		}
	}
}

// unprivilegedEnv makes the test program a process that loads the object from its standard input. Its
// value says how.
const unprivilegedEnv = "GIZMO_TEST_LOAD_OBJECT"

// Options in the value of unprivilegedEnv.
const (
	lockedOption = "locked," // with little memory that may be locked
	perfOption   = "perf,"   // with perf buffers
	smallOption  = "small,"  // with small ones
)

// unprivileged starts a process of the user nobody, with some capabilities, that loads an object.
func unprivileged(object []byte, caps ...uintptr) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Dir = "/"
	cmd.Env = []string{unprivilegedEnv + "=1"}
	cmd.Stdin = bytes.NewReader(object)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: caps}
	return cmd
}

// loadUnprivileged is what that process does. It prints the error.
func loadUnprivileged() int {
	object, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	img, err := image.Parse(bytes.NewReader(object), nil) // needs no privileges
	if err != nil {
		fmt.Println("parse:", err)
		return 1
	}
	g, err := loadAs(img, os.Getenv(unprivilegedEnv))
	if err != nil {
		fmt.Println(err)
		if errors.Is(err, ErrPrivileges) {
			return 2
		}
		return 1
	}
	fmt.Println("loaded", g.Close())
	return 0
}

func loadAs(img *image.Image, options string) (*Gadget, error) {
	magic, _ := img.Param("magic")
	value, err := magic.Parse("1")
	if err != nil {
		return nil, err
	}
	o := LoadOptions{Params: map[string]image.Value{"magic": value}}
	if strings.Contains(options, lockedOption) {
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}); err != nil {
			return nil, err
		}
	}
	o.PerfBuffer = strings.Contains(options, perfOption)
	if strings.Contains(options, smallOption) {
		o.BufferSize = 64 << 10
	}
	return Load(img, &o)
}

func TestPrivileges(t *testing.T) {
	kerneltest.RequireRoot(t) // to give them away
	object := fixture.Compile(t, "hooks").Object
	const missing = "missing privileges: running a gadget needs root, or the capabilities CAP_BPF and CAP_PERFMON: try sudo\n"
	for _, c := range []struct {
		name string
		caps []uintptr
		want string
		code int
	}{
		{"none", nil, missing, 2},
		{"CAP_BPF", []uintptr{unix.CAP_BPF}, missing, 2},
		{"CAP_PERFMON", []uintptr{unix.CAP_PERFMON}, missing, 2},
		{"CAP_BPF and CAP_PERFMON", []uintptr{unix.CAP_BPF, unix.CAP_PERFMON}, "loaded <nil>\n", 0},
	} {
		cmd := unprivileged(object, c.caps...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if string(out) != c.want || cmd.ProcessState.ExitCode() != c.code {
			t.Errorf("with %s: %s (exit code %d), want %s", c.name, out, cmd.ProcessState.ExitCode(), c.want)
		}
	}
}

// tellValue writes a value without the names that it may have.
func tellValue(f *event.Field, b []byte) string {
	v := image.Value(b)
	switch f.Kind {
	case event.Bool:
		return strconv.FormatBool(v[0] != 0)
	case event.Int:
		return strconv.FormatInt(f.Int(v), 10)
	case event.String:
		return string(event.CString(v))
	case event.Float:
		if f.Size == 4 {
			return fmt.Sprint(math.Float32frombits(binary.LittleEndian.Uint32(v)))
		}
		return fmt.Sprint(math.Float64frombits(binary.LittleEndian.Uint64(v)))
	}
	return strconv.FormatUint(f.Uint(v), 10)
}

// attachments counts the attachments of programs that do something.
func (r *running) attachments() (n int) {
	for _, l := range r.attached {
		if l.link != (nothing{}) {
			n++
		}
	}
	return n
}
