// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/usdt"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// buildC compiles testdata/user_app/SOURCES to a new file.
func buildC(t testing.TB, sources string, options ...string) string {
	t.Helper()
	cc := kerneltest.RequireProgram(t, "gcc", "clang-19", "clang")
	out := filepath.Join(t.TempDir(), "libapp.so")
	args := append([]string{"-O1", "-o", out}, strings.Fields(sources)...)
	cmd := exec.Command(cc, append(args, options...)...)
	cmd.Dir = "testdata/user_app"
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

// startUser hangs programs of the fixture on targets, and leaves the others out.
func startUser(t testing.TB, targets map[string]string) *running {
	t.Helper()
	return start(t, userImage(t, targets), userOptions(t))
}

func userImage(t testing.TB, targets map[string]string) *image.Image {
	t.Helper()
	return userImageOf(t, "user", targets)
}

// userImageOf is userImage for a fixture with the same programs.
func userImageOf(t testing.TB, fixture string, targets map[string]string) *image.Image {
	t.Helper()
	var yaml strings.Builder
	yaml.WriteString("programs:\n")
	for _, name := range []string{"on_call", "on_return", "on_probe", "on_typed"} {
		target, ok := targets[name]
		if !ok {
			target = "gadget_program_disabled"
		}
		fmt.Fprintf(&yaml, "  %s:\n    attach_to: %q\n", name, target)
	}
	return parseWith(t, fixture, yaml.String())
}

// userOptions has the programs report this process's children.
func userOptions(t testing.TB) LoadOptions {
	o := LoadOptions{Params: make(map[string]image.Value)}
	setParam(t, parse(t, "user"), o.Params, "parent", uint64(os.Getpid()))
	return o
}

// runApp runs a program and returns the lines of the given kinds that it prints.
func runApp(t testing.TB, kinds []string, env []string, path string, args ...string) []string {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		if kind, _, _ := strings.Cut(s.Text(), " "); slices.Contains(kinds, kind) {
			lines = append(lines, s.Text())
		}
	}
	return lines
}

// userEvent is the record of the fixture.
type userEvent struct {
	Kind, Count int64
	Args, Errs  [6]int64
	Result      int64
}

// userLines formats records in the way in which the program prints what it does.
func userLines(t testing.TB, g *got) []string {
	t.Helper()
	if n := g.lostSum(); n > 0 {
		t.Errorf("%d events were lost", n)
	}
	var lines []string
	for _, row := range g.rows {
		var e userEvent
		if err := binary.Read(bytes.NewReader(row), binary.LittleEndian, &e); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, e.line(t))
	}
	return lines
}

func (e *userEvent) line(t testing.TB) string {
	switch e.Kind {
	case 0:
		return fmt.Sprintf("call %d %d %d", e.Args[0], int32(e.Args[1]), uint8(e.Args[2]))
	case 1:
		return fmt.Sprintf("return %d", e.Args[0])
	}
	const noEntry = -2
	if e.Count >= 0 && e.Result != noEntry {
		t.Errorf("an argument that there is not: result %d", e.Result)
	}
	n := e.Count
	if n < 0 { // with BPF_USDT
		n = 2
	}
	line := fmt.Sprintf("probe %d", e.Count)
	for i, a := range e.Args[:min(n, int64(len(e.Args)))] {
		switch e.Errs[i] {
		case 0:
			line += " " + strconv.FormatInt(a, 10)
		case -int64(unix.EINVAL):
			line += " ?"
		default:
			t.Errorf("argument %d: errno %d", i, -e.Errs[i])
		}
	}
	return line
}

// expectUser compares what the BPF programs report with what the observed program printed.
func (r *running) expectUser(t testing.TB, want []string) {
	t.Helper()
	if len(want) == 0 {
		t.Fatal("the program did nothing")
	}
	got := userLines(t, drain(t, r.source(t)))
	if !slices.Equal(got, want) {
		t.Errorf("events:\n got %q\nwant %q", got, want)
	}
}

// Functions and probes are found, and their arguments are right, in programs of all kinds.
func TestUserPrograms(t *testing.T) {
	kerneltest.RequireRoot(t)
	const rounds = "5"
	kinds := map[string][]string{
		"position independent": {"-pie", "-fPIE"},
		"at a fixed address":   {"-no-pie", "-fno-pie"},
		"static":               {"-static"},
	}
	for name, options := range kinds {
		t.Run(name, func(t *testing.T) {
			path := buildC(t, "main.c work.c", options...)
			g := startUser(t, map[string]string{
				"on_call": path + ":work", "on_return": path + ":work", "on_probe": path + ":fixture:many",
			})
			all := runApp(t, []string{"call", "return", "probe"}, nil, path, rounds)
			g.expectUser(t, slices.DeleteFunc(all, func(line string) bool {
				return strings.HasPrefix(line, "probe -1") || isHigh(line)
			}))
		})
	}
}

// isHigh: the line of the probe "high" ends in 0x11, and no other does.
func isHigh(line string) bool { return strings.HasSuffix(line, " 17") }

func TestUserLibrary(t *testing.T) {
	kerneltest.RequireRoot(t)
	library := buildC(t, "work.c", "-shared", "-fPIC", "-Wl,-soname,libapp.so")
	app := buildC(t, "main.c", library)
	env := []string{"LD_LIBRARY_PATH=" + filepath.Dir(library)}
	g := startUser(t, map[string]string{"on_call": library + ":work", "on_typed": library + ":fixture:typed"})
	lines := runApp(t, []string{"call", "probe"}, env, app, "3")
	g.expectUser(t, slices.DeleteFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, "probe") && !strings.HasPrefix(line, "probe -1")
	}))
}

// Arguments in the second byte of a register, and BPF_USDT beside bpf_usdt_arg in one object.
func TestUSDTKinds(t *testing.T) {
	kerneltest.RequireRoot(t)
	path := buildC(t, "main.c work.c")
	g := startUser(t, map[string]string{"on_probe": path + ":fixture:high", "on_typed": path + ":fixture:typed"})
	lines := runApp(t, []string{"probe"}, nil, path, "300")
	g.expectUser(t, slices.DeleteFunc(lines, func(line string) bool {
		return !strings.HasPrefix(line, "probe -1") && !isHigh(line)
	}))
}

// A semaphore is above zero exactly as long as a probe is attached.
func TestUSDTSemaphore(t *testing.T) {
	kerneltest.RequireRoot(t)
	path := buildC(t, "main.c work.c")
	seen := func() string { return strings.Join(runApp(t, []string{"guarded"}, nil, path, "2"), ",") }
	if got := seen(); got != "guarded 0,guarded 0" {
		t.Fatal(got)
	}
	g := startUser(t, map[string]string{"on_probe": path + ":fixture:guarded"})
	if got := seen(); got != "guarded 1,guarded 1" {
		t.Error(got)
	}
	g.expectUser(t, []string{"probe 1 1", "probe 1 2"})
	if err := g.Detach(); err != nil {
		t.Fatal(err)
	}
	if got := seen(); got != "guarded 0,guarded 0" {
		t.Error(got)
	}
}

// A function of the C library by the library's short name, with an offset, and with a version.
func TestUserShortNames(t *testing.T) {
	kerneltest.RequireRoot(t)
	path := buildC(t, "main.c work.c")
	for _, target := range []string{"libc:srandom", "libc.so.6:srandom"} {
		g := startUser(t, map[string]string{"on_call": target})
		runApp(t, nil, nil, path, "1")
		if n := len(drain(t, g.source(t)).rows); n != 1 {
			t.Errorf("%s: %d events", target, n)
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Dir(path))
	g := startUser(t, map[string]string{"on_call": filepath.Base(path) + ":work", "on_return": filepath.Base(path) + ":work"})
	g.expectUser(t, runApp(t, []string{"call", "return"}, nil, path, "2"))
}

func TestUserGo(t *testing.T) {
	kerneltest.RequireRoot(t)
	kerneltest.RequireProgram(t, "go")
	for _, flags := range []string{"", "-s"} {
		path := filepath.Join(t.TempDir(), "app")
		cmd := exec.Command("go", "build", "-ldflags="+flags, "-o", path, "./testdata/user_goapp")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		g := startUser(t, map[string]string{"on_call": path + ":main.Double"})
		runApp(t, nil, nil, path, "7")
		if n := len(drain(t, g.source(t)).rows); n != 7 {
			t.Errorf("flags %q: %d events, want 7", flags, n)
		}
		err := attachUser(t, map[string]string{"on_return": path + ":main.Double"})
		if err == nil || !strings.Contains(err.Error(), "on_return") || !strings.Contains(err.Error(), "Go moves its stacks") {
			t.Errorf("flags %q: the return of a Go function: %v", flags, err)
		}
	}
}

// attachUser attaches and detaches again.
func attachUser(t testing.TB, targets map[string]string) error {
	t.Helper()
	g := load(t, userImage(t, targets), userOptions(t))
	err := g.Attach()
	return errors.Join(err, g.Detach())
}

// attachUserTo tries to attach a loaded program to another target than the one it was loaded for.
func attachUserTo(g *Gadget, program, target string) error {
	loaded, err := g.find(program)
	if err != nil {
		return err
	}
	p := *loaded
	p.Target = target
	l, err := hook.Attach(g.loaded, &p, g.coll.Programs[program])
	if err == nil {
		err = l.Close()
	}
	return err
}

// Files of another kind than a probe needs.
func TestUserBadFiles(t *testing.T) {
	kerneltest.RequireRoot(t)
	app := buildC(t, "main.c work.c")
	data, err := os.ReadFile(app)
	if err != nil {
		t.Fatal(err)
	}
	file := func(contents []byte) string {
		name := filepath.Join(t.TempDir(), "bad")
		kerneltest.WriteProgram(t, name, contents)
		return name
	}
	other := slices.Clone(data)
	binary.LittleEndian.PutUint16(other[18:], 22) // s390
	tests := []struct{ program, target, want string }{
		{"on_call", "/none/app:work", "there is no file /none/app"},
		{"on_call", "libnone:work", "no library and no program is called libnone"},
		{"on_call", filepath.Dir(app) + ":work", "not a regular file"},
		{"on_call", file([]byte("#!/bin/sh\nwork\n")) + ":work", "a script"},
		{"on_call", file([]byte("work")) + ":work", "not an ELF file"},
		{"on_call", file(nil) + ":work", "not an ELF file"},
		{"on_call", file(data[:1000]) + ":work", "cut off"},
		{"on_call", file(data[:len(data)/2]) + ":work", "cut off"},
		{"on_call", file(other) + ":work", "another machine"},
		{"on_call", app + ":wrok", `did you mean "work"?`},
		{"on_call", app + ":guarded_semaphore", "variable"},
		{"on_call", app + ":work+0x1000", "beyond the end"},
		{"on_call", app + ":0x0", "not executable"},
		{"on_call", app + ":printf", "defined in a library"},
		{"on_return", app + ":_start", "starts here"},
		{"on_return", app + ":work+1", "offset"},
		{"on_call", "libc:strlen", "IFUNC"},
		{"on_call", "libc:mallco", `did you mean "malloc"?`},
		{"on_probe", app + ":fixture:man", `did you mean "fixture:many"?`},
		{"on_probe", "/bin/true:fixture:many", "none at all"},
	}
	g := load(t, userImage(t, map[string]string{"on_call": "x:x", "on_return": "x:x", "on_probe": "x:x:x"}), userOptions(t))
	for _, test := range tests {
		err := attachUserTo(g.Gadget, test.program, test.target)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.target, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one line: %v", test.target, err)
		}
	}
}

// The targets are looked at before anything is loaded.
func TestUserBadTargets(t *testing.T) {
	t.Parallel()
	for program, targets := range map[string][]string{
		"on_call":  {"libc", "./app:work", ":work"},
		"on_probe": {"libc:malloc", "libc:libc:", "libc:a:b:c"},
	} {
		for _, target := range targets {
			err := Supported(userImage(t, map[string]string{program: target}))
			if err == nil || !strings.Contains(err.Error(), program) || !strings.Contains(err.Error(), "PATH") && !strings.Contains(err.Error(), "absolute") {
				t.Errorf("%s: %v", target, err)
			}
		}
	}
	if err := Supported(parse(t, "user")); err == nil || !strings.Contains(err.Error(), "attach_to") {
		t.Errorf("no target: %v", err)
	}
}

// gizmo skips files that are not installed as long as at least one of the targets exists.
func TestUserAbsent(t *testing.T) {
	kerneltest.RequireRoot(t)
	var warnings bytes.Buffer
	app := buildC(t, "main.c work.c")
	o := userOptions(t)
	o.Logger = slog.New(slog.NewTextHandler(&warnings, nil))
	g := start(t, userImage(t, map[string]string{"on_call": app + ":work", "on_return": "libnone:work", "on_probe": "/none/lib:fixture:many"}), o)
	g.expectUser(t, runApp(t, []string{"call"}, nil, app, "1"))
	for _, want := range []string{
		`msg="optional program not attached" program=on_return reason="no library and no program is called libnone: `,
		`msg="optional program not attached" program=on_probe reason="there is no file /none/lib: `,
	} {
		if strings.Count(warnings.String(), want) != 1 {
			t.Errorf("got %s\nwant %s", &warnings, want)
		}
	}
	err := attachUser(t, map[string]string{"on_return": "libnone:work", "on_probe": "libnothing:fixture:many"})
	if err == nil || !strings.Contains(err.Error(), "libnone") || !strings.Contains(err.Error(), "libnothing") {
		t.Errorf("nothing is there: %v", err)
	}
	// So it is with a function that this build of a library lacks.
	warnings.Reset()
	g = start(t, userImage(t, map[string]string{"on_call": app + ":work", "on_return": app + ":wrok", "on_probe": "libnone:fixture:many"}), o)
	g.expectUser(t, runApp(t, []string{"call"}, nil, app, "1"))
	if !strings.Contains(warnings.String(), "wrok") || !strings.Contains(warnings.String(), "did you mean") {
		t.Errorf("got %s", &warnings)
	}
	if err := attachUser(t, map[string]string{"on_call": app + ":wrok", "on_return": "libnone:work"}); err == nil || !strings.Contains(err.Error(), "wrok") {
		t.Errorf("nothing is there: %v", err)
	}
	// A program for the kernel is another part of the gadget, too.
	warnings.Reset()
	g = start(t, parse(t, "user_and_kernel"), LoadOptions{Logger: o.Logger})
	if n := g.attachments(); n != 1 || !strings.Contains(warnings.String(), "program=on_function reason=") {
		t.Errorf("%d programs are attached; got %s", n, &warnings)
	}
	err = refusal(t, parseWith(t, "user_and_kernel", disabling("on_call")), LoadOptions{Logger: o.Logger})
	mustSay(t, err, "program on_function: no library and no program is called libnone")
	mustSay(t, refusal(t, parse(t, "user_and_kernel"), LoadOptions{Strict: true}), "no library and no program is called libnone")
	strict := load(t, userImage(t, map[string]string{"on_call": app + ":work", "on_return": app + ":wrok"}), LoadOptions{Strict: true})
	if err := strict.Attach(); err == nil || !strings.Contains(err.Error(), "wrok") {
		t.Errorf("strict: %v", err)
	}
}

// The file that is probed may be deleted and another take its place.
func TestUserReplaced(t *testing.T) {
	kerneltest.RequireRoot(t)
	path := buildC(t, "main.c work.c")
	old := path + ".old"
	if err := os.Link(path, old); err != nil {
		t.Fatal(err)
	}
	g := startUser(t, map[string]string{"on_call": path + ":work"})
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	kerneltest.WriteProgram(t, path, data)
	runApp(t, nil, nil, path, "1")
	g.expectUser(t, runApp(t, []string{"call"}, nil, old, "2"))
}

// Kernels before 6.6 have no links for several probes, those before 5.15 no cookies.
func TestUserOldKernel(t *testing.T) {
	kerneltest.RequireRoot(t)
	img := parse(t, "user")
	spec, err := img.Spec(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	delete(spec.Programs, "on_typed")
	if err := spec.Variables["parent"].Set(uint32(os.Getpid())); err != nil {
		t.Fatal(err)
	}
	image.SetCookieFlag(spec, func() bool { return false })
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	events, err := ringbuf.NewReader(coll.Maps["events"])
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	old := &hook.Loaded{ProbeSpecs: spec.Maps[usdt.SpecMap], Maps: coll.Maps, Log: slog.Default()}
	attach := func(program, path, name string) (io.Closer, error) {
		p := *img.Program(program)
		p.Target = path + ":" + name
		if program == "on_probe" {
			p.Target = path + ":fixture:" + name
		}
		return hook.Attach(old, &p, coll.Programs[program])
	}

	fixed := buildC(t, "main.c work.c", "-no-pie", "-fno-pie")
	for _, p := range []struct{ program, name string }{{"on_call", "work"}, {"on_return", "work"}, {"on_probe", "many"}, {"on_probe", "guarded"}} {
		l, err := attach(p.program, fixed, p.name)
		if err != nil {
			t.Fatal(p, err)
		}
		defer l.Close()
	}
	var want []string
	for i, line := range runApp(t, []string{"call", "return", "probe", "guarded"}, nil, fixed, "3") {
		switch {
		case line == "guarded 0":
			t.Errorf("line %d: the semaphore was not raised", i)
		case line == "guarded 1":
			want = append(want, fmt.Sprintf("probe 1 %d", 1+strings.Count(strings.Join(want, "\n"), "probe 1 ")))
		case !isHigh(line) && !strings.HasPrefix(line, "probe -1"):
			want = append(want, line)
		}
	}
	var got got
	events.SetDeadline(time.Now())
	for record, err := events.Read(); err == nil; record, err = events.Read() {
		got.rows = append(got.rows, record.RawSample)
	}
	if lines := userLines(t, &got); !slices.Equal(lines, want) {
		t.Errorf("\n got %q\nwant %q", lines, want)
	}

	anywhere := buildC(t, "main.c work.c", "-pie", "-fPIE")
	if _, err := attach("on_probe", anywhere, "many"); err == nil || !strings.Contains(err.Error(), "Linux 5.15") {
		t.Errorf("a program that is loaded anywhere: %v", err)
	}
}

// BenchmarkUserAttach attaches and detaches 20 probes in the C library, as a gadget about memory has.
func BenchmarkUserAttach(b *testing.B) {
	kerneltest.RequireRoot(b)
	g := load(b, userImage(b, map[string]string{"on_call": "x:x", "on_return": "x:x"}), userOptions(b))
	functions := []string{"malloc", "free", "calloc", "realloc", "memalign", "valloc", "pvalloc", "aligned_alloc", "mmap", "munmap"}
	var attached, detached time.Duration
	var wg sync.WaitGroup
	for b.Loop() {
		begin := time.Now()
		for _, f := range functions {
			for _, program := range []string{"on_call", "on_return"} {
				if err := g.AttachTo(program, "libc:"+f); err != nil {
					b.Fatal(err)
				}
			}
		}
		attached += time.Since(begin)
		begin = time.Now()
		for _, f := range functions {
			for _, program := range []string{"on_call", "on_return"} {
				wg.Go(func() {
					if err := g.DetachFrom(program, "libc:"+f); err != nil {
						b.Error(err)
					}
				})
			}
		}
		wg.Wait()
		detached += time.Since(begin)
	}
	b.ReportMetric(float64(attached.Milliseconds())/float64(b.N), "attach-ms")
	b.ReportMetric(float64(detached.Milliseconds())/float64(b.N), "detach-ms")
}
