// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stacks

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/run"
)

// left is memory that was not released.
type left struct{ Bytes, Blocks int }

// inFunctions is what the functions of the program leave: each block counts for the innermost function with a name here.
func inFunctions() map[string]left {
	return map[string]left{
		"leaves_small":       {1000, 10},
		"leaves_some":        {6 * (77 + 3), 12},
		"resizes":            {50, 1},
		"aligns":             {128 + 256 + 96 + 10 + 20, 5},
		"in_thread":          {200, 4},
		"has_threads":        {200, 1},
		"in_one_of_many":     {20 * 21, 20},
		"after_exec_of_many": {20 * 22, 20},
		"in_child":           {77, 1},
		"before_exec":        {33, 1},
		"after_exec":         {44, 1},
		"in_vfork":           {55, 1},
		"has_children":       {300, 1}, // and not the block that the child of vfork has released
	}
}

// leakRow is a row of trace_malloc with --leaks.
type leakRow struct {
	Proc struct {
		PID  int
		Comm string
	}
	left
	Age   int64                    `json:"age_raw"`
	Stack struct{ Symbols string } `json:"ustack"`
}

const leaking = "leaking-program"

// What was not released is known to the byte, whoever has released the rest, with the functions that have allocated it.
func TestLeaks(t *testing.T) {
	kerneltest.RequireRoot(t)
	program := filepath.Join(compiled(t, "leaks"), leaking)
	if err := kerneltest.MapWalks(t); err != nil {
		t.Log("the kernel forbids programs for the elements of maps:", err)
		mustRefuse(t)
		return
	}
	for _, unwind := range []string{"fp", "auto"} {
		t.Run(unwind, func(t *testing.T) {
			var rows []leakRow
			pid, out := leak(t, program, unwind, "json", nil)
			if err := json.Unmarshal(out, &rows); err != nil {
				t.Fatalf("%v: %.300s", err, out)
			}
			got, processes := make(map[string]left), make(map[string]int)
			for _, r := range rows {
				if r.Proc.Comm != leaking || r.Age <= 0 {
					t.Errorf("%+v", r)
				}
				add(got, r.Stack.Symbols, r.left)
				if name := find(r.Stack.Symbols); r.Proc.PID != pid {
					processes[name]++ // of which each has one block
				}
			}
			if want := inFunctions(); !maps.Equal(got, want) {
				t.Errorf("the functions left\n%v, want\n%v", got, want)
			}
			want := map[string]int{"in_child": 1, "before_exec": 1, "after_exec": 1, "in_one_of_many": 20, "after_exec_of_many": 20}
			if !maps.Equal(processes, want) {
				t.Errorf("the functions were in so many child processes: %v, want %v", processes, want)
			}
		})
	}
	t.Run("pprof", func(t *testing.T) {
		_, out := leak(t, program, "fp", "pprof", nil)
		p, err := profile.ParseData(out)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.SampleType[0]; got.Type != "bytes" || got.Unit != "bytes" {
			t.Errorf("the profile has %s in %s", got.Type, got.Unit)
		}
		total, want := int64(0), int64(0)
		for _, s := range p.Sample {
			if text := symbolsOf(s); find(text) != "" {
				total += s.Value[0]
			}
		}
		for _, l := range inFunctions() {
			want += int64(l.Bytes)
		}
		if total != want {
			t.Errorf("%d bytes in the profile, want %d", total, want)
		}
	})
	t.Run("young", func(t *testing.T) {
		if _, out := leak(t, program, "fp", "json", map[string]string{"min-age": "3600000"}); strings.TrimSpace(string(out)) != "[]" {
			t.Errorf("of memory that is an hour old: %s", out)
		}
	})
}

// mustRefuse fails the test unless gizmo says that the kernel forbids what --leaks needs.
func mustRefuse(t *testing.T) {
	t.Helper()
	img, err := catalog.Builtin("trace_malloc")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := run.NewPlan(run.Options{Gadgets: []run.Gadget{{Image: img, Params: map[string]string{"leaks": "true"}}}, Text: &run.Text{W: io.Discard}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "forbids programs of kind iter/bpf_map_elem") {
		t.Errorf("error %v", err)
	}
}

// compileLeaks compiles the program.
func compileLeaks(t *testing.T, w *workshop, dir string) {
	t.Helper()
	w.run(t, w.gcc, "-w", "-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-fno-builtin", "-pthread", "-o", filepath.Join(dir, leaking), "testdata/leaks.c")
}

func symbolsOf(s *profile.Sample) string {
	var text strings.Builder
	for _, l := range s.Location {
		for _, line := range l.Line {
			text.WriteString(line.Function.Name + "; ")
		}
	}
	return text.String()
}

// find returns the innermost of the functions in a stack; "" if there is none.
func find(symbols string) string {
	want := inFunctions()
	for name := range strings.SplitSeq(symbols, "; ") {
		if _, ok := want[name]; ok {
			return name
		}
	}
	return ""
}

// add counts memory for the innermost of the functions. The C library allocates for threads, which is of no interest.
func add(got map[string]left, symbols string, l left) {
	if name := find(symbols); name != "" && !strings.Contains(symbols, "pthread_create") {
		sum := got[name]
		got[name] = left{sum.Bytes + l.Bytes, sum.Blocks + l.Blocks}
	}
}

// leak runs trace_malloc while the program runs, and returns the program's process and what gizmo writes.
func leak(t *testing.T, program, unwind, mode string, params map[string]string) (pid int, out []byte) {
	t.Helper()
	cmd := exec.Command(program)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	beginCommand(t, cmd)
	img, err := catalog.Builtin("trace_malloc")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"leaks": "true", "comm": leaking}
	maps.Copy(all, params)
	var text bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	plan, err := run.NewPlan(run.Options{
		Gadgets: []run.Gadget{{Image: img, Params: all}},
		Text:    &run.Text{W: &text, Modes: mode},
		Unwind:  unwind,
		OnAttached: func() error {
			go func() {
				defer cancel()
				_, _ = io.WriteString(in, "\n")
				_ = cmd.Wait()
			}()
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := plan.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if state := cmd.ProcessState; state == nil || !state.Success() {
		t.Fatalf("the program has ended with %v", state)
	}
	return cmd.Process.Pid, text.Bytes()
}
