// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stacks

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// inlined returns what compiles the program with inlined calls.
func inlined(compiler string, flags ...string) func(t *testing.T, w *workshop, path string) {
	return func(t *testing.T, w *workshop, path string) {
		t.Helper()
		w.run(t, kerneltest.RequireProgram(t, compiler), append([]string{"-O2", "-g", "-fno-omit-frame-pointer", "-o", path, "testdata/inlined.c"}, flags...)...)
	}
}

// inlinedWithDebugFile moves the debug information of the program to a cache of debug files.
func inlinedWithDebugFile(t *testing.T, w *workshop, path string) {
	t.Helper()
	const id = "1122334455667788990011223344556677889900"
	inlined("gcc", "-Wl,--build-id=0x"+id)(t, w, path)
	dir := filepath.Join(filepath.Dir(path), cacheName, id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w.run(t, w.objcopy, "--only-keep-debug", "--compress-debug-sections", path, filepath.Join(dir, "debuginfo"))
	w.run(t, w.strip, path)
}

// liner is a program whose lines are known.
type liner struct {
	name  string // of the program
	build func(t *testing.T, w *workshop, path string)
	start func(t *testing.T, path string)
	// want are stacks that are sampled, the innermost call first; each is the beginning of one, as describeLines writes it.
	want []string
	// never is in no stack.
	never string
}

const (
	innermostLines = "innermost:11@inlined.h:14; middle:6@inlined.c:%s; outermost:12@inlined.c:16; main:21@inlined.c:24; "
	firstLine      = "8"
	secondLine     = "9"
)

func liners() []liner {
	c := []string{fmt.Sprintf(innermostLines, firstLine), fmt.Sprintf(innermostLines, secondLine)}
	return []liner{
		{name: "gcc5", build: inlined("gcc"), start: plain, want: c},
		{name: "gcc4", build: inlined("gcc", "-gdwarf-4"), start: plain, want: c},
		{name: "clang5", build: inlined("clang-19", "-gdwarf-5"), start: plain, want: c},
		{name: "clang4", build: inlined("clang-19", "-gdwarf-4"), start: plain, want: c},
		{name: "debugfile", build: inlinedWithDebugFile, start: plain, want: c},
		{name: "deleted", build: inlined("gcc"), start: deleted, want: c},
		{name: "stripped", build: inlined("gcc", "-Wl,--strip-debug"), start: plain, want: []string{"outermost:0@.:0; main:0@.:0; "}, never: ".c"},
		{name: "golang", build: goProgram("-trimpath"), start: plain, want: []string{"main.step:10@main.go:11; main.sorter:23@main.go:23; main.main:25@main.go:27; runtime.main:"}},
		{name: "gostripped", build: goProgram("-ldflags=-s -w"), start: plain, want: []string{"main.step:0@main.go:11; main.sorter:0@main.go:23; main.main:0@main.go:27; "}},
	}
}

// describeLines returns the calls of a sample of a process, the innermost first.
func describeLines(s *profile.Sample) string {
	var b strings.Builder
	for _, l := range s.Location {
		if l.Mapping != nil && l.Mapping.File == "[kernel]" {
			continue
		}
		for _, line := range l.Line {
			fmt.Fprintf(&b, "%s:%d@%s:%d; ", line.Function.Name, line.Function.StartLine, filepath.Base(line.Function.Filename), line.Line)
		}
	}
	return b.String()
}

func TestLines(t *testing.T) {
	kerneltest.RequireRoot(t)
	dir := compiled(t, "lines")
	t.Setenv("DEBUGINFOD_CACHE_PATH", filepath.Join(dir, cacheName))
	all := liners()
	for i := range all {
		all[i].start(t, filepath.Join(dir, all[i].name))
	}
	for _, unwind := range []string{"fp", "dwarf"} {
		t.Run(unwind, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "recording")
			live := profileWithLines(t, unwind, file)
			for i := range all {
				all[i].check(t, live)
			}
			checkReplay(t, file, live)
		})
	}
}

// check compares the stacks of a program with those that it must and must not have.
func (l *liner) check(t *testing.T, p *profile.Profile) {
	t.Helper()
	var stacks []string
	for _, s := range p.Sample {
		if slices.Contains(s.Label["comm"], l.name) {
			stacks = append(stacks, describeLines(s))
		}
	}
	for _, want := range l.want {
		if !slices.ContainsFunc(stacks, func(s string) bool { return strings.HasPrefix(s, want) }) {
			t.Errorf("%s: no stack begins with %q:\n%s", l.name, want, strings.Join(stacks[:min(len(stacks), 10)], "\n"))
		}
	}
	for _, s := range stacks {
		if own, _, _ := strings.Cut(s, "main:"); l.never != "" && strings.Contains(own, l.never) {
			t.Errorf("%s: a stack has %q: %s", l.name, l.never, s)
		}
	}
}

// profileWithLines runs profile_cpu, and records.
func profileWithLines(t *testing.T, unwind, file string) *profile.Profile {
	t.Helper()
	out := profileCPU(t, run.Options{Text: &run.Text{Modes: "pprof"}, Record: &run.Recording{Path: file}, Unwind: unwind, Lines: true})
	p, err := profile.ParseData(out)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// checkReplay compares the profile of a recording with that of the run.
func checkReplay(t *testing.T, file string, live *profile.Profile) {
	t.Helper()
	replay := func(lines bool) *profile.Profile {
		in, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		recording, err := wire.NewReader(in)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		r, err := run.Replay(recording, run.Options{Text: &run.Text{W: &out, Modes: "pprof"}, Lines: lines})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		p, err := profile.ParseData(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	again := replay(true)
	again.TimeNanos, again.DurationNanos = live.TimeNanos, live.DurationNanos // a recording does not say how long it took
	if again.String() != live.String() {
		t.Errorf("the recording has another profile than the run: %d samples instead of %d", len(again.Sample), len(live.Sample))
	}
	for _, m := range replay(false).Mapping {
		if m.HasLineNumbers || m.HasInlineFrames {
			t.Errorf("%s has lines, which nobody wants", m.File)
		}
	}
}
