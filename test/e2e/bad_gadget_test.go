// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// badGadgets has the folders of gadgets that cannot be run. The file "want" in each has one regular
// expression on each line: all must match lines on standard error. A folder without a program gets a
// program that works.
const badGadgets = "testdata/bad"

func TestBadGadgets(t *testing.T) {
	kerneltest.RequireRoot(t)
	cases, err := os.ReadDir(badGadgets)
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	for _, c := range cases {
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			dir := copyGadget(t, c.Name())
			before := findLeftovers(t)
			g := run(t, setup{env: []string{"XDG_CACHE_HOME=" + cache}}, "run", dir, "--strict", "-o", "json", "--timeout", "10")
			g.wantExit(t, 1)
			g.wantNoOut(t)
			wantLines(t, filepath.Join(badGadgets, c.Name(), "want"), g.err.String())
			g.wantAlone(t)
			wantUnloaded(t, dir)
			before.wantSame(t)
		})
	}
}

// copyGadget makes a gadget's folder of a test case, for the compiler's messages to have its name.
func copyGadget(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(badGadgets, name))); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "program.bpf.c")); err != nil {
		addGoodProgram(t, dir)
	}
	return dir
}

// wantLines checks that each expression in the file matches a line of text.
func wantLines(t *testing.T, file, text string) {
	t.Helper()
	expressions, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for expr := range strings.Lines(string(expressions)) {
		expr = strings.TrimSuffix(expr, "\n")
		if !regexp.MustCompile("(?m)" + expr).MatchString(text) {
			t.Errorf("standard error has no line %s:\n%s", expr, text)
		}
	}
	if last := text[strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n')+1:]; !strings.HasPrefix(last, "gizmo: ") {
		t.Errorf("the last line is not gizmo's: %s", last)
	}
}

var programName = regexp.MustCompile(`(?m)^int (e2e_\w+)\(`)

// wantUnloaded checks that the programs of a gadget's folder are not in the kernel. No other gadget
// uses their names.
func wantUnloaded(t *testing.T, dir string) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(dir, "program.bpf.c"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range programName.FindAllSubmatch(source, -1) {
		eventually(t, "program "+string(m[1])+" has left the kernel", func() bool {
			return len(programsNamed(t, string(m[1]))) == 0
		})
	}
}

func TestVerboseShowsTheVerifiersLog(t *testing.T) {
	kerneltest.RequireRoot(t)
	dir := copyGadget(t, "verifier")
	g := run(t, setup{}, "run", dir, "-v", "--timeout", "10")
	g.wantExit(t, 1)
	g.wantErr(t, "program e2e_verifier: the kernel's verifier rejected it: R", "invalid mem access 'map_value_or_null'\n",
		"\nprocessed ", "call bpf_map_lookup_elem")
	if text := g.err.String(); strings.Contains(text, "run with -v") {
		t.Errorf("hints at -v although it was given: %s", text)
	}
}

func TestBuildWithoutClang(t *testing.T) {
	dir := copyGadget(t, "kprobe")
	env := []string{"PATH=/proc/nonexistent", "CLANG=", "XDG_CACHE_HOME=" + t.TempDir()}
	for _, command := range [][]string{{"run", dir}, {"image", "build", dir}} {
		g := run(t, setup{env: env}, command...)
		g.wantExit(t, 1)
		g.wantNoOut(t)
		g.wantErr(t, "gizmo: clang is needed to build gadgets, and none was found in PATH", "install it (Debian, Ubuntu: apt-get install clang")
	}
}

func TestBuildWithoutLibbpf(t *testing.T) {
	kerneltest.RequireRoot(t)
	dir := copyGadget(t, "kprobe")
	g := run(t, setup{helper: helperHideLibbpf, env: []string{"XDG_CACHE_HOME=" + t.TempDir()}}, "image", "build", dir)
	g.wantExit(t, 1)
	g.wantNoOut(t)
	g.wantErr(t, "'bpf/bpf_helpers.h' file not found", "libbpf's headers are not installed (Debian, Ubuntu: apt-get install libbpf-dev")
	g.wantAlone(t)
}

func TestRunWithoutKernelBTF(t *testing.T) {
	kerneltest.RequireRoot(t)
	g := run(t, setup{helper: helperHideBTF}, "run", "trace_open")
	g.wantExit(t, 1)
	g.wantNoOut(t)
	g.wantErr(t, "this kernel has no BTF (/sys/kernel/btf/vmlinux)", "CONFIG_DEBUG_INFO_BTF=y")
	g.wantAlone(t)
}

// Without the kernel's file systems, as in a chroot, and in a user namespace the error names the cause.
func TestRunInPoorPlaces(t *testing.T) {
	kerneltest.RequireRoot(t)
	unshare := kerneltest.RequireProgram(t, "unshare")
	jail := t.TempDir()
	program, err := os.ReadFile(gizmoPath)
	if err != nil {
		t.Fatal(err)
	}
	kerneltest.WriteProgram(t, filepath.Join(jail, "gizmo"), program)
	const noProc = "gizmo: /proc is not mounted here, as in a chroot, and gizmo needs it to load a gadget: mount -t proc proc /proc\n"
	for name, c := range map[string]struct {
		p    *process
		want string
	}{
		"chroot": {startProgram(t, setup{}, []string{kerneltest.RequireProgram(t, "chroot"), jail, "/gizmo", "run", "trace_open", "--host"}), noProc},
		"proc":   {start(t, setup{helper: helperHideProc}, "run", "trace_open"), noProc},
		"sys": {start(t, setup{helper: helperHideSys}, "run", "trace_open"),
			"gizmo: /sys is not mounted here, as in a chroot, and gizmo needs it to load a gadget: mount -t sysfs sysfs /sys\n"},
		"user namespace": {startProgram(t, setup{}, []string{unshare, "-Ur", gizmoPath, "run", "trace_open", "--host"}),
			"gizmo: missing privileges: gizmo runs in a user namespace, and the kernel lets not even its root load programs: run gizmo outside of it\n"},
	} {
		c.p.wantExit(t, 1)
		c.p.wantNoOut(t)
		if got := c.p.err.String(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Compiling needs no privileges. Running does, and says so before anything else is tried.
func TestRunWithoutPrivileges(t *testing.T) {
	kerneltest.RequireRoot(t)
	for name, s := range map[string]setup{
		"nobody":                    {user: nobody, dir: "/", env: []string{"HOME=/proc/nonexistent"}},
		"root without capabilities": {helper: helperDropCapabilities},
	} {
		t.Run(name, func(t *testing.T) {
			g := run(t, s, "run", "trace_open", "--timeout", "10")
			g.wantExit(t, 1)
			g.wantErr(t, "gizmo: missing privileges: running a gadget needs root, or the capabilities CAP_BPF and CAP_PERFMON: try sudo\n")
			g.wantNoOut(t)
		})
	}
}

// gizmo reports wrong flags of a gadget before it checks for privileges.
func TestBadFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"trace_opne", `gizmo: unknown gadget "trace_opne"; did you mean "trace_open"?`},
		{"trace_open trace_exec", `gizmo: want only one gadget, but got "trace_exec" as well`},
		{"--pid 5 trace_open", "gizmo: unknown flag: --pid (the flags of a gadget come after it: gizmo run GADGET --pid 5 trace_open)"},
		{"--comm trace_exec trace_open", "gizmo: put the gadget before its flags: gizmo run GADGET --comm trace_exec trace_open"},
		{"trace_open --pidd 5", "gizmo: unknown flag: --pidd; did you mean --pid?"},
		{"trace_open --faild", "gizmo: unknown flag: --faild; did you mean --failed?"},
		{"trace_open -z", "gizmo: unknown shorthand flag: 'z' in -z"},
		{"trace_open --pid many", `"many" is not a number from 0 to 4294967295`},
		{"trace_open --pid -1", `"-1" is not a number from 0 to 4294967295`},
		{"trace_open --pid 4294967296", `"4294967296" is not a number from 0 to 4294967295`},
		{"trace_open --pid 0", "would turn the filter off"},
		{"trace_open --pid=", `"" is not a number from 0 to 4294967295`}, // an empty look-up in a script
		{"trace_open --failed=maybe", `"maybe" is neither true nor false`},
		{"trace_open --pid", "gizmo: flag needs an argument: --pid"},
		{"trace_open -o jsno", `gizmo: --output: unknown output format "jsno"`},
		{"trace_open -o jsno", `did you mean "json"?`},
		{"trace_open -o opne:json", `gizmo: --output: there is no data source "opne"; did you mean "open"?`},
		{"trace_open --fields fnmae", `gizmo: --fields: data source "open" has no field "fnmae"; did you mean "fname"?`},
		{"trace_open --fields +fnmae", `did you mean "fname"?`},
		{"trace_open --fields opne:fname", `gizmo: --fields: there is no data source "opne"; did you mean "open"?`},
		{"trace_open --annotate opne.fname:columns.width=9", `unknown data source "opne"; did you mean "open"?`},
		{"trace_open --annotate open.fnmae:columns.width=9", `unknown field "fnmae"; did you mean "fname"?`},
		{"trace_open --annotate open.fname:columns.widht=9", `unknown annotation "columns.widht"; did you mean "columns.width"?`},
		{"trace_open --annotate open.fname:columns.width=wide", `"wide"`},
		{"trace_open --timeout soon", `want a number of seconds or a duration like 1m30s, got "soon"`},
		{"trace_open --timeout -1", `got "-1"`},
		{"trace_open --buffer-size -1", "--buffer-size"},
		{"trace_open --buffer-size 1", "--buffer-size"},
		{"trace_open --buffer-size 8GB", "--buffer-size"},
	} {
		t.Run(c.args, func(t *testing.T) {
			g := run(t, setup{}, append([]string{"run"}, strings.Fields(c.args)...)...)
			g.wantExit(t, 1)
			g.wantNoOut(t)
			g.wantErr(t, c.want)
			if strings.Count(g.err.String(), "\n") != 1 {
				t.Errorf("more than one line on standard error:\n%s", g.err.String())
			}
		})
	}
}

func TestRecordWhereNobodyCanWrite(t *testing.T) {
	kerneltest.RequireRoot(t)
	file := filepath.Join(t.TempDir(), "no", "such", "folder")
	g := run(t, setup{}, "run", "trace_open", "--record", file, "--timeout", "10")
	g.wantExit(t, 1)
	g.wantNoOut(t)
	g.wantErr(t, "gizmo: --record: open "+file+": no such file or directory\n")
}

// slowClang passes for a compiler and takes its time.
const slowClang = `#!/bin/sh
case "$*" in
*--version*) echo "clang version 19.1.0" ;;
*) touch "$STARTED" && exec sleep 60 ;;
esac
`

func TestInterruptEndsTheCompiler(t *testing.T) {
	dir := copyGadget(t, "kprobe")
	clang, started := filepath.Join(t.TempDir(), "clang"), filepath.Join(t.TempDir(), "started")
	kerneltest.WriteProgram(t, clang, []byte(slowClang))
	g := start(t, setup{env: []string{"CLANG=" + clang, "STARTED=" + started, "XDG_CACHE_HOME=" + t.TempDir()}}, "run", dir)
	eventually(t, "the compiler has started", func() bool {
		_, err := os.Stat(started)
		return err == nil
	})
	g.signal(t, syscall.SIGINT)
	g.wantExit(t, 1)
	g.wantErr(t, "gizmo: ", "interrupted")
	g.wantAlone(t)
}
