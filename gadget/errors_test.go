// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
)

// Every fixture in testdata/errors has one fault, and the error names it.
func TestErrorsOfObjects(t *testing.T) {
	t.Parallel()
	var lines []string
	for _, name := range fixture.Names(t, "errors/*") {
		lines = append(lines, filepath.Base(name)+": "+oneLine(failure(fixture.Compile(t, name).Object, "")))
	}
	fixture.Golden(t, "errors.golden", lines)
}

// failure returns the error that image.Parse or Load reports for a gadget.
func failure(object []byte, yaml string) string {
	img, err := parseObject(object, yaml)
	if err == nil {
		err = Supported(img)
	}
	return fmt.Sprint(err)
}

func TestErrorsOfMetadata(t *testing.T) {
	t.Parallel()
	object := fixture.Compile(t, "tracer").Object
	param := func(variable, text string) string {
		return "params:\n  ebpf:\n    " + variable + ":\n      " + text + "\n"
	}
	source := func(text string) string { return "datasources:\n  params:\n    annotations:\n      " + text + "\n" }
	var lines []string
	for _, c := range []struct{ name, yaml string }{
		{"default too large", param("param_u8", `defaultValue: "256"`)},
		{"default of an enum", param("param_colour", `defaultValue: GREN`)},
		{"default not allowed", param("param_turn", "defaultValue: LEFT\n      possibleValues: [RIGHT]")},
		{"impossible value", param("param_turn", "possibleValues: [LEFT, RIHGT]")},
		{"same key", param("param_u8", "key: param_s8")},
		{"same key as a filter", param("param_u8", "key: pid")},
		{"trailing data is a field", source("ebpf.rest.name: u8")},
		{"no such length", source("ebpf.rest.name: tail\n      ebpf.rest.len: length")},
		{"length is no integer", source("ebpf.rest.name: tail\n      ebpf.rest.len: d")},
		{"length is an array", source("ebpf.rest.name: tail\n      ebpf.rest.len: words")},
		{"two errors", param("param_u8", `defaultValue: "-1"`) + source("ebpf.rest.name: proc.pid")},
	} {
		lines = append(lines, c.name+": "+oneLine(failure(object, c.yaml)))
	}
	fixture.Golden(t, "metadata.errors.golden", lines)
}

// oneLine is for errors that list several.
func oneLine(text string) string { return strings.ReplaceAll(text, "\n", " / ") }

func TestExplainLoad(t *testing.T) {
	t.Parallel()
	p := &image.Program{Name: "x", Section: "iter/bpf_map_elem"}
	refused := "program x: the kernel refuses to load it: "
	for _, c := range []struct {
		p    *image.Program
		err  error
		want string
	}{
		{p, unix.EPERM, refused + "operation not permitted; missing privileges, or this kernel or its lockdown forbids programs of kind iter/bpf_map_elem"},
		{p, unix.EACCES, refused + "permission denied; missing privileges, or this kernel or its lockdown forbids programs of kind iter/bpf_map_elem"},
		{nil, unix.EPERM, "the kernel refuses to load the gadget: program x: operation not permitted; missing privileges, or this kernel or its lockdown forbids programs of this kind"},
		{p, unix.E2BIG, "load the gadget: program x: argument list too long"},
		{p, unix.EMFILE, refused + "this process has reached its limit of open files; raise the limit (ulimit -n): too many open files"},
		{p, unix.ENOMEM, refused + "it does not have enough memory: choose a smaller buffer, or raise the memory limit of this process's control group: cannot allocate memory"},
		// The verifier ran, and found no fault.
		{p, &ebpf.VerifierError{Cause: unix.EPERM, Log: []string{"processed 2 insns (limit 1000000)"}}, refused},
		{p, &ebpf.VerifierError{Cause: unix.EACCES, Log: []string{"R0 !read_ok"}}, "program x: the kernel's verifier rejected it: R0 !read_ok"},
	} {
		got := explainLoad(c.p, fmt.Errorf("program x: %w", c.err))
		if !errors.Is(got, c.err) || !strings.HasPrefix(got.Error(), c.want) {
			t.Errorf("got  %v\nwant %s", got, c.want)
		}
		denied := errors.Is(c.err, unix.EPERM) || errors.Is(c.err, unix.EACCES) && !strings.Contains(c.want, "verifier")
		var memory *MemoryError
		if errors.Is(got, ErrPrivileges) != denied || errors.As(got, &memory) != errors.Is(c.err, unix.ENOMEM) {
			t.Errorf("%v: privileges %v, memory %v", got, errors.Is(got, ErrPrivileges), memory)
		}
	}
}

// The error distinguishes what the kernel lacks from what the verifier cannot follow.
func TestAbsent(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]bool{
		"unknown func bpf_loop#181":                                     true,
		"invalid func unknown#300":                                      true,
		"program of this type cannot use helper bpf_get_ns#1":           true,
		"R0 max value is outside of the allowed memory range":           false,
		"R1 invalid mem access 'scalar'":                                false,
		"BPF program is too large. Processed 1000001 insn":              false,
		"the sequence of 8193 jumps is too complex, unknown func or so": false,
	} {
		err := explainLoad(nil, &ebpf.VerifierError{Cause: unix.EINVAL, Log: []string{reason}})
		if got := new(VerifierError); !errors.As(err, &got) || got.Absent != want {
			t.Errorf("%s: %+v", reason, got)
		}
	}
}

func TestLastWord(t *testing.T) {
	t.Parallel()
	for want, log := range map[string][]string{
		"":                  {"", "processed 3 insns (limit 1000000)", "max_states_per_insn 0"},
		"R0 invalid access": {"0: (95) exit", "R0 invalid access", "processed 1 insns", "", " "},
		"only":              {"  only "},
	} {
		if got := lastWord(log); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
