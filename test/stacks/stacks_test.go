// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package stacks tests, with real programs, that each stack has the right names, and never those of another file (profile_cpu), and that
// what is counted by stack is right to the byte (trace_malloc).
package stacks

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/run"
)

const levels = "level3; level2; level1; main; "

var (
	programs  = flag.String("programs", "", "compile the programs into this `folder`, and use those that are there")
	sampleFor = flag.Duration("for", 4*time.Second, "how long the programs are sampled")
	frequency = flag.String("frequency", "199", "how many samples a second there are of each CPU")
)

// spinner is a program that keeps a CPU busy. All are sampled at the same time.
type spinner struct {
	name string // of the program, which is how its samples are recognized
	// build makes the program, and other files that have its name with something behind it; start starts it, if that is not all that
	// there is to it.
	build func(t *testing.T, w *workshop, path string)
	start func(t *testing.T, path string)
	// fp and auto are part of the text of at least one stack, the innermost function first, when callers are found by frame pointers, and
	// automatically. Empty: nothing is said about it.
	fp, auto string
	never    string // is in no stack
}

// workshop makes programs.
type workshop struct{ gcc, gxx, strip, objcopy string }

// cacheName is the folder among the programs that is the cache of debug files.
const cacheName = "debuginfod"

func (w *workshop) run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
}

// c returns what compiles the C program.
func c(flags ...string) func(t *testing.T, w *workshop, path string) {
	return func(t *testing.T, w *workshop, path string) {
		t.Helper()
		w.run(t, w.gcc, append(append([]string{"-O2", "-fno-omit-frame-pointer", "-o", path, "testdata/spin.c"}, flags...), "-ldl")...)
	}
}

func goProgram(flags ...string) func(t *testing.T, w *workshop, path string) {
	return func(t *testing.T, w *workshop, path string) {
		t.Helper()
		w.run(t, "go", append(append([]string{"build", "-o", path}, flags...), "./testdata/gospin")...)
	}
}

// withDebugFile compiles a program and moves its symbols to the cache of debug files.
func withDebugFile(t *testing.T, w *workshop, path string) {
	t.Helper()
	c("-g", "-Wl,--build-id=0x00112233445566778899aabbccddeeff00112233")(t, w, path)
	dir := filepath.Join(filepath.Dir(path), cacheName, "00112233445566778899aabbccddeeff00112233")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w.run(t, w.objcopy, "--only-keep-debug", path, filepath.Join(dir, "debuginfo"))
	w.run(t, w.strip, path)
}

// inNamespaces starts a program by a shell in namespaces of its own. The script has PROGRAM in place of its path, and DIR in place
// of a folder that does not exist yet.
func inNamespaces(flags, script string) func(t *testing.T, path string) {
	return func(t *testing.T, path string) {
		t.Helper()
		begin(t, kerneltest.RequireProgram(t, "unshare"), flags, "sh", "-ec", strings.NewReplacer("PROGRAM", path, "DIR", path+".dir").Replace(script))
	}
}

// begin starts a program, which ends with the test.
func begin(t *testing.T, argv ...string) {
	t.Helper()
	beginCommand(t, exec.Command(argv[0], argv[1:]...))
}

func beginCommand(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
}

func plain(t *testing.T, path string) {
	t.Helper()
	begin(t, path)
}

func deleted(t *testing.T, path string) {
	t.Helper()
	begin(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

const (
	otherName   = ".other"
	libraryName = ".so"
)

// withOther compiles a program, and another that takes its place later.
func withOther(t *testing.T, w *workshop, path string) {
	t.Helper()
	c()(t, w, path)
	c("-DINNERMOST=another")(t, w, path+otherName)
}

func replaced(t *testing.T, path string) {
	t.Helper()
	begin(t, path)
	if err := os.Rename(path+otherName, path); err != nil {
		t.Fatal(err)
	}
}

// withLibrary compiles a program and a library that it loads.
func withLibrary(t *testing.T, w *workshop, path string) {
	t.Helper()
	c()(t, w, path)
	w.run(t, w.gcc, "-O2", "-fno-omit-frame-pointer", "-shared", "-fPIC", "-o", path+libraryName, "testdata/library.c")
}

func loadsLibrary(t *testing.T, path string) {
	t.Helper()
	begin(t, path, path+libraryName)
}

func spinners() []spinner {
	overlay := `mkdir DIR DIR/lower DIR/upper; mount -t tmpfs lower DIR/lower; mount -t tmpfs upper DIR/upper
		mkdir DIR/upper/work DIR/upper/files DIR/merged; cp PROGRAM DIR/lower/
		mount -t overlay overlay -o lowerdir=DIR/lower,upperdir=DIR/upper/files,workdir=DIR/upper/work DIR/merged
		exec DIR/merged/$(basename PROGRAM)`
	return []spinner{
		{name: "frames", build: c(), fp: levels, auto: levels},
		{name: "noframes", build: c("-fomit-frame-pointer"), auto: levels},
		{name: "sorts", build: c("-fomit-frame-pointer"), fp: "cmp; ", auto: "; sorter; main; "},
		{name: "stripped", build: c("-s"), fp: "stripped+0x", auto: "stripped+0x", never: "level3"},
		{name: "debugfile", build: withDebugFile, fp: levels, auto: levels},
		{name: "static", build: c("-static"), fp: levels, auto: levels},
		{name: "fixed", build: c("-no-pie"), fp: levels, auto: levels},
		{name: "cplusplus", fp: "shop::Basket<int>::count; main; ", build: func(t *testing.T, w *workshop, path string) {
			w.run(t, w.gxx, "-O2", "-fno-omit-frame-pointer", "-o", path, "testdata/spin.cc")
		}},
		{name: "golang", build: goProgram(), fp: "main.sorter; main.main; runtime.main; ", auto: "main.sorter; main.main; runtime.main; "},
		{name: "gostripped", build: goProgram("-buildmode=pie", "-ldflags=-s -w"), fp: "main.sorter; main.main; runtime.main; "},
		{name: "deleted", build: c(), start: deleted, fp: levels, auto: levels},
		{name: "replaced", build: withOther, start: replaced, fp: levels, never: "another"},
		{name: "library", build: withLibrary, start: loadsLibrary, fp: "hidden; in_library; main; "},
		{name: "mounted", build: c(), fp: levels,
			start: inNamespaces("-m", "mkdir DIR; mount -t tmpfs other DIR; cp PROGRAM DIR/; exec DIR/$(basename PROGRAM)")},
		{name: "overlaid", build: c(), start: inNamespaces("-m", overlay), fp: levels},
		{name: "pidspace", build: c(), start: inNamespaces("-pf", "exec PROGRAM"), fp: levels},
	}
}

// row is a row of profile_cpu.
type row struct {
	Proc    struct{ Comm string }
	Samples int
	Stack   struct{ Symbols string } `json:"user_stack_raw"`
	Kernel  string                   `json:"kern_stack"`
}

// programSet makes the programs of a test in a folder.
type programSet func(t *testing.T, w *workshop, dir string)

// programSets are those of all tests, by the names of their folders.
func programSets() map[string]programSet {
	return map[string]programSet{
		"names": func(t *testing.T, w *workshop, dir string) {
			for _, s := range spinners() {
				s.build(t, w, filepath.Join(dir, s.name))
			}
		},
		"lines": func(t *testing.T, w *workshop, dir string) {
			for _, l := range liners() {
				l.build(t, w, filepath.Join(dir, l.name))
			}
		},
		"leaks": compileLeaks,
	}
}

func compile(t *testing.T, set, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	programSets()[set](t, &workshop{
		gcc: kerneltest.RequireProgram(t, "gcc"), gxx: kerneltest.RequireProgram(t, "g++"),
		strip: kerneltest.RequireProgram(t, "strip"), objcopy: kerneltest.RequireProgram(t, "objcopy"),
	}, dir)
}

// All programs compile, into the folder that the command line names, where a machine without compilers finds them.
func TestPrograms(t *testing.T) {
	dir := *programs
	if dir == "" {
		dir = t.TempDir()
	}
	for set := range programSets() {
		compile(t, set, filepath.Join(dir, set))
	}
}

// compiled returns a folder with the programs of a test, which may change it.
func compiled(t *testing.T, set string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if *programs == "" {
		compile(t, set, dir)
	} else if err := os.CopyFS(dir, os.DirFS(filepath.Join(*programs, set))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// At the same time all programs run and are sampled.
func TestNames(t *testing.T) {
	kerneltest.RequireRoot(t)
	dir := compiled(t, "names")
	t.Setenv("DEBUGINFOD_CACHE_PATH", filepath.Join(dir, cacheName))
	all := spinners()
	for i := range all {
		s := &all[i]
		if s.start == nil {
			s.start = plain
		}
		s.start(t, filepath.Join(dir, s.name))
	}
	for _, unwind := range []string{"fp", "auto"} {
		t.Run(unwind, func(t *testing.T) {
			rows := sample(t, unwind)
			for i := range all {
				check(t, &all[i], unwind, rows)
			}
		})
	}
}

// check compares the stacks of a program with what they must and must not be.
func check(t *testing.T, s *spinner, unwind string, rows []row) {
	t.Helper()
	want := s.fp
	if unwind == "auto" {
		want = s.auto
	}
	var texts []string
	found := false
	for _, r := range rows {
		if r.Proc.Comm != s.name {
			continue
		}
		texts = append(texts, fmt.Sprintf("%d × %s", r.Samples, r.Stack.Symbols))
		found = found || strings.Contains(r.Stack.Symbols, want)
		if s.never != "" && strings.Contains(r.Stack.Symbols, s.never) {
			t.Errorf("%s: a stack has the name %s", s.name, s.never)
		}
	}
	if !found || len(texts) == 0 {
		t.Errorf("%s: no stack has %q:\n%s", s.name, want, strings.Join(texts[:min(len(texts), 10)], "\n"))
	}
}

// sample runs profile_cpu.
func sample(t *testing.T, unwind string) (rows []row) {
	t.Helper()
	out := profileCPU(t, run.Options{Text: &run.Text{Modes: "json"}, Unwind: unwind})
	if err := json.Unmarshal(out, &rows); err != nil {
		t.Fatalf("%v: %.300s", err, out)
	}
	return rows
}

// profileCPU runs profile_cpu for a while, and returns what it writes.
func profileCPU(t *testing.T, o run.Options) []byte {
	t.Helper()
	img, err := catalog.Builtin("profile_cpu")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	o.Gadgets = []run.Gadget{{Image: img, Params: map[string]string{"frequency": *frequency}}}
	o.Text.W = &out
	plan, err := run.NewPlan(o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := plan.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), *sampleFor)
	defer cancel()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
