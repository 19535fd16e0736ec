// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// The programs of the fixture "functions", in the order of the numbers in their events. The last is for
// functions with other arguments.
var functionPrograms = []string{"on_kprobe", "on_kretprobe", "on_ksyscall", "on_kretsyscall", "on_fentry", "on_fexit", "on_any"}

// only returns a gadget.yaml that makes the loader load only one of the listed programs, and attach it to
// the target if there is one.
func only(program, target string, all ...string) string {
	yaml := disabling(slices.DeleteFunc(slices.Clone(all), func(p string) bool { return p == program })...)
	if target != "" {
		yaml += "  " + program + ": {attach_to: " + target + "}\n"
	}
	return yaml
}

// disabling returns a gadget.yaml with which these programs are not loaded.
func disabling(programs ...string) string {
	yaml := "name: test\nprograms:\n"
	for _, p := range programs {
		yaml += "  " + p + ": {attach_to: gadget_program_disabled}\n"
	}
	return yaml
}

// watching are the values of params with which a fixture reports this process.
func watching(t testing.TB, img *image.Image) map[string]image.Value {
	t.Helper()
	values := make(map[string]image.Value)
	setParam(t, img, values, "target", uint64(os.Getpid()))
	setParam(t, img, values, "getpgid_nr", unix.SYS_GETPGID)
	return values
}

// busy are params with which the programs of fixtures have something to do.
func busy(t testing.TB, img *image.Image) map[string]image.Value {
	t.Helper()
	values := make(map[string]image.Value)
	setParam(t, img, values, "magic", 1)
	return values
}

// refusal loads and attaches the image, which must fail, and returns the error. Nothing may be left.
func refusal(t *testing.T, img *image.Image, o LoadOptions) error {
	t.Helper()
	kerneltest.RequireRoot(t)
	before := kernelFDs()
	if o.Params == nil {
		o.Params = watching(t, img)
	}
	g, err := Load(img, &o)
	if err == nil {
		err = g.Attach()
		if closeErr := g.Close(); closeErr != nil {
			t.Error(closeErr)
		}
	}
	if err == nil {
		t.Error("the gadget runs; it should not")
	}
	if after := kernelFDs(); !slices.Equal(after, before) {
		t.Errorf("descriptors %q, before %q", after, before)
	}
	return err
}

// mustSay fails the test unless the error holds all the texts.
func mustSay(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want something with %q", err, text)
		}
	}
}

// Every way to hook a function reports the calls of it. Where the kernel lacks the way, it says so.
func TestFunctionHooks(t *testing.T) {
	has := offers(t)
	const pid = 1 << 29 // no process has it
	missing := []string{"on_any"}
	var want []string
	for i, program := range functionPrograms[:6] {
		if strings.HasPrefix(program, "on_k") && has.kprobes || strings.HasPrefix(program, "on_f") && has.trampolines {
			want = append(want, wantCall(i, program, pid))
			continue
		}
		missing = append(missing, program)
		err := refusal(t, parseWith(t, "functions", only(program, "", functionPrograms...)), LoadOptions{})
		mustSay(t, err, "program "+program+": ", "getpgid: this kernel ")
	}
	if len(want) == 0 {
		return
	}
	img := parseWith(t, "functions", disabling(missing...))
	g := start(t, img, LoadOptions{Params: watching(t, img)})
	_, _, _ = unix.RawSyscall(unix.SYS_GETPGID, pid, 0, 0)
	var got []string
	for _, row := range drain(t, g.source(t)).rows {
		got = append(got, describeCall(row))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func describeCall(row []byte) string {
	return fmt.Sprintf("program %d pid %d result %d", binary.LittleEndian.Uint32(row), binary.LittleEndian.Uint32(row[4:]), int64(binary.LittleEndian.Uint64(row[8:])))
}

// wantCall is what a program reports about a call: an entry program does not know the result, and at the
// return only fexit knows the arguments.
func wantCall(number int, program string, pid int) string {
	result := 0
	if atReturn := strings.Contains(program, "ret") || program == "on_fexit"; atReturn {
		result = -int(unix.ESRCH)
		if program != "on_fexit" {
			pid = 0
		}
	}
	return fmt.Sprintf("program %d pid %d result %d", number, pid, result)
}

// A function of a module can be hooked like others, if the module is there.
func TestModuleFunctionHooks(t *testing.T) {
	has := offers(t)
	const function = "p9_client_create" // of 9pnet, which the lab's machine needs for its files
	loaded := len(kernelSymbolsLike(func(name, module string) bool { return name == function && module == "9pnet" })) > 0
	for program, able := range map[string]bool{"on_kretprobe": has.kprobes, "on_any": has.trampolines} {
		img := parseWith(t, "functions", only(program, function, functionPrograms...))
		switch {
		case able && loaded:
			start(t, img, LoadOptions{Params: watching(t, img)})
		case able:
			mustSay(t, refusal(t, img, LoadOptions{}), "program "+program+": ", function, "a module that is not loaded")
		default:
			mustSay(t, refusal(t, img, LoadOptions{}), "program "+program+": ", "this kernel")
		}
	}
}

// The error says why a function cannot be hooked, and suggests similar names.
func TestFunctionsThatCannotBeHooked(t *testing.T) {
	has := offers(t)
	k, err := kernel.New(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for place, want := range badFunctions(t, has) {
		kind, target, _ := strings.Cut(place, "/")
		p := &image.Program{Name: "p", Section: place, Target: target}
		if err := hook.Check(p); err != nil {
			t.Error(err)
			continue
		}
		got := hook.Missing(k, p)
		if got == nil {
			t.Errorf("%s: nothing is missing", place)
			continue
		}
		if why := hook.Explain(k, p, got); why != nil {
			got = why
		}
		mustSay(t, got, append(want, "program p: "+kind+"/"+target+": ")...)
		t.Log(got)
	}
}

// badFunctions are functions that cannot be hooked, each with parts of the error.
func badFunctions(t *testing.T, has offer) map[string][]string {
	bad := make(map[string][]string)
	if has.kprobes {
		bad["kprobe/vfs_read+1"] = []string{"no instruction of vfs_read begins at the offset 1"}
		bad["kprobe/"+oneOf(t, unprobeable(t))] = []string{"cannot be probed", "kprobes/blacklist"}
		bad["kretprobe/"+untraceableFunction(t)] = []string{"is not traceable", "available_filter_functions"}
		bad["ksyscall/getpgidd"] = []string{"no function sys_getpgidd", `did you mean "sys_getpgid"?`}
	} else {
		bad["kprobe/vfs_raed"] = []string{"this kernel has no kprobes"}
		bad["kretprobe/vfs_read"] = []string{"this kernel has no kprobes"}
	}
	bad["fexit.s/vfs_raed"] = []string{"no function vfs_raed", "may be inlined", "a module that is not loaded", `did you mean "vfs_read"?`}
	bad["fexit/sys_getpgid"] = []string{"the function of this system call has the name __"}
	bad["fentry/asm_exc_page_fault"] = []string{"the kernel has no type of the function asm_exc_page_fault"}
	if has.trampolines {
		bad["fentry/"+madeBase()] = []string{"the compiler replaced it with ", "only a kprobe can hook that"}
		bad["fentry.s/vfs_read"] = []string{"the kernel does not let sleepable programs be attached to vfs_read: use the section fentry"}
	} else {
		bad["fentry/vfs_read"] = []string{"this kernel forbids fentry programs"}
	}
	return bad
}

// Refusals on loading and on attaching: the error has a hint and the kernel's error, and nothing
// stays behind.
func TestRefusals(t *testing.T) {
	has := offers(t)
	kprobe := refusal(t, parseWith(t, "functions", only("on_kprobe", "vfs_raed", functionPrograms...)), LoadOptions{})
	mustSay(t, kprobe, "program on_kprobe: kprobe/vfs_raed: this kernel has no ", ": no such file or directory")
	if !errors.Is(kprobe, unix.ENOENT) {
		t.Errorf("%v wraps no error of the kernel", kprobe)
	}
	if !has.trampolines {
		err := refusal(t, parseWith(t, "functions", only("on_any", "", functionPrograms...)), LoadOptions{})
		mustSay(t, err, "program on_any: fentry/__", "this kernel ")
		return
	}
	function := untraceableFunction(t) // which the kernel notices on attaching
	err := refusal(t, parseWith(t, "functions", only("on_any", function, functionPrograms...)), LoadOptions{})
	mustSay(t, err, "program on_any: fentry/"+function+": "+function+" is not traceable", ": device or resource busy")
	if !errors.Is(err, unix.EBUSY) {
		t.Errorf("%v wraps no error of the kernel", err)
	}
}

func oneOf(t *testing.T, names []string) string {
	t.Helper()
	if len(names) == 0 {
		t.Fatal("this kernel has none of these functions")
	}
	return names[0]
}

// unprobeable lists functions that the kernel forbids kprobes for, without variants from the compiler.
func unprobeable(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("/sys/kernel/debug/kprobes/blacklist")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 2 && !strings.ContainsAny(fields[1], "./+") {
			names = append(names, fields[1])
		}
	}
	return names
}

// untraceableFunction returns a function that ftrace cannot trace and kprobes can, and whose type the
// kernel has.
func untraceableFunction(t *testing.T) string {
	t.Helper()
	traceable := traceableFunctions()
	forbidden := unprobeable(t)
	for _, name := range []string{"trace_clock_local", "native_write_msr", "ftrace_now"} {
		if !strings.Contains(traceable, "\n"+name+"\n") && !slices.Contains(forbidden, name) {
			return name
		}
	}
	t.Fatal("all functions can be traced")
	return ""
}

var traceableFunctions = sync.OnceValue(func() string {
	text, _ := os.ReadFile("/sys/kernel/tracing/available_filter_functions")
	return string(text)
})

// madeBase returns the name of a function of which the kernel has only a variant with a compiler's suffix.
var madeBase = sync.OnceValue(func() string {
	whole := make(map[string]bool)
	made := kernelSymbolsLike(func(name, module string) bool {
		if !strings.Contains(name, ".") {
			whole[name] = true
		}
		return module == "" && strings.Contains(name, ".isra.") && !strings.Contains(name, ".cold")
	})
	for _, name := range made {
		if base, _, _ := strings.Cut(name, "."); !whole[base] {
			return base
		}
	}
	return ""
})

// A variant of a function, which the compiler made, can be probed by its own name.
func TestKprobeOnMadeFunction(t *testing.T) {
	if !offers(t).kprobes {
		mustSay(t, refusal(t, parseWith(t, "functions", only("on_kprobe", "vfs_read.isra.0", functionPrograms...)), LoadOptions{}), "no kprobes")
		return
	}
	base := madeBase()
	names := kernelSymbolsLike(func(name, _ string) bool {
		return strings.HasPrefix(name, base+".isra.") && !strings.Contains(name, ".cold")
	})
	img := parseWith(t, "functions", only("on_kprobe", names[0], functionPrograms...))
	start(t, img, LoadOptions{Params: watching(t, img)})
}

// A probe can be attached to an instruction after the first.
func TestKprobeAtOffset(t *testing.T) {
	img := parseWith(t, "functions", only("on_kprobe", "sys_getpgid+5", functionPrograms...))
	if !offers(t).kprobes {
		mustSay(t, refusal(t, img, LoadOptions{}), "kprobe/sys_getpgid+5: ", "no kprobes")
		return
	}
	g := start(t, img, LoadOptions{Params: watching(t, img)})
	_, _, _ = unix.RawSyscall(unix.SYS_GETPGID, 1<<29, 0, 0)
	if n := len(drain(t, g.source(t)).rows); n != 1 {
		t.Errorf("%d events", n)
	}
}

// BenchmarkAttach measures attaching, and how much longer it takes than loading.
func BenchmarkAttach(b *testing.B) {
	has := offers(b)
	fixtures := []string{"hooks"}
	if has.kprobes && has.trampolines {
		fixtures = append(fixtures, "functions")
	}
	for _, name := range fixtures {
		b.Run(name, func(b *testing.B) {
			img := parse(b, name)
			values := watching(b, img)
			setParam(b, img, values, "magic", uint64(newMagic()))
			for b.Loop() {
				b.StopTimer()
				g, err := Load(img, &LoadOptions{Params: values})
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if err := g.Attach(); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := g.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
