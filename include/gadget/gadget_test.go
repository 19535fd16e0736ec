// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

// Package gadget_test runs the C API in the kernel and checks its effects
// from outside. This file has the code that the tests share; the tests of each header are in
// the file with its name, their programs in testdata.
package gadget_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// keep is where the lab, test/vm, has the test programs compiled beforehand: compilers are slow where
// every instruction is emulated.
var keep = flag.String("objects", "", "compile test programs into this `folder`, and use those that are there")

// objects is the folder of the compiled test programs while the tests run.
var objects string

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	flag.Parse()
	var err error
	if objects = *keep; objects == "" {
		objects, err = os.MkdirTemp("", "gadget-test-")
		defer os.RemoveAll(objects)
	} else {
		err = os.MkdirAll(objects, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if left := bpfFDs(); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "the tests left BPF objects open:", left)
		return 1
	}
	return code
}

// bpfFDs lists this process's maps, programs and links.
func bpfFDs() []string {
	var left []string
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.Contains(to, "bpf") {
			left = append(left, to)
		}
	}
	return left
}

// skip gives up on a test for something that the machine lacks. Where CI is
// "true" the machine has to have it.
func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	kerneltest.Missing(t, format, args...)
}

// requireKernel skips unless programs can be loaded here.
func requireKernel(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		skip(t, "needs root")
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		skip(t, "needs the kernel's BTF: %v", err)
	}
}

// clang is the compiler of the test programs.
func clang(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"clang-19", "clang"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	skip(t, "needs clang")
	return ""
}

// clangFlags are those of every gadget, and all warnings as errors. The tests' programs don't use all of
// their arguments.
func clangFlags(extra ...string) []string { return clangFlagsFor(runtime.GOARCH, extra...) }

func clangFlagsFor(arch string, extra ...string) []string {
	macro := map[string]string{"amd64": "x86", "arm64": "arm64"}[arch]
	// Where Debian has <asm/types.h>, which <linux/types.h> includes; whichever architecture's there is.
	system := "/usr/include/" + map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH] + "-linux-gnu"
	flags := []string{
		"-target", "bpf", "-g", "-O2", "-D__TARGET_ARCH_" + macro,
		"-I..", "-I../compat", "-I../vmlinux/" + arch, "-idirafter", system,
		"-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
	}
	return append(flags, extra...)
}

var compiled sync.Map // name → func() error

// compile makes an object of testdata/NAME.bpf.c, once, and returns its path.
func compile(t *testing.T, name string) string {
	t.Helper()
	object := filepath.Join(objects, strings.ReplaceAll(name, "/", "-")+".o")
	if _, err := os.Stat(object); err == nil && *keep != "" {
		return object
	}
	cc := clang(t)
	once, _ := compiled.LoadOrStore(name, sync.OnceValue(func() error {
		args := clangFlags("-c", filepath.Join("testdata", name+".bpf.c"), "-o", object)
		if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	}))
	if err := once.(func() error)(); err != nil {
		t.Fatal("compiling", name, err)
	}
	return object
}

// Other tests load these programs.
func TestPrograms(t *testing.T) {
	for _, source := range append(glob(t, "testdata/*.bpf.c"), glob(t, "testdata/*/*.bpf.c")...) {
		name := strings.TrimSuffix(strings.TrimPrefix(source, "testdata/"), ".bpf.c")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compile(t, name)
		})
	}
}

// parse reads testdata/NAME.bpf.c, compiled.
func parse(t *testing.T, name string) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec(compile(t, name))
	if err != nil {
		t.Fatal("parsing", name, err)
	}
	return spec
}

// parseSource reads the object of a source.
func parseSource(t *testing.T, source string) *ebpf.CollectionSpec {
	t.Helper()
	object := filepath.Join(t.TempDir(), "source.o")
	if out, err := compileSource(t, clang(t), source, "-c", "-o", object); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	spec, err := ebpf.LoadCollectionSpec(object)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// compileSource compiles a source and returns the compiler's output.
func compileSource(t *testing.T, cc, source string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(cc, append(clangFlags(args...), "-x", "c", "-")...)
	cmd.Stdin = strings.NewReader(source)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// globals are variables of a test program, const volatile or plain, with the values
// to set before it is loaded.
type globals map[string]any

// load loads all of spec and closes it when the test ends.
func load(t *testing.T, spec *ebpf.CollectionSpec, set globals) *ebpf.Collection {
	t.Helper()
	coll, err := tryLoad(t, spec, set)
	if err != nil {
		t.Fatal("loading: ", verbose(err))
	}
	return coll
}

func tryLoad(t *testing.T, spec *ebpf.CollectionSpec, set globals) (*ebpf.Collection, error) {
	t.Helper()
	for name, value := range set {
		if err := spec.Variables[name].Set(value); err != nil {
			t.Fatal("setting", name, err)
		}
	}
	coll, err := ebpf.NewCollection(spec)
	if err == nil {
		t.Cleanup(coll.Close)
	}
	return coll, err
}

// verbose returns the text of err with the whole log of the verifier, if there is one.
func verbose(err error) string {
	var ve *ebpf.VerifierError
	if errors.As(err, &ve) {
		return fmt.Sprintf("%+v", ve)
	}
	return err.Error()
}

// maxArgs is how many a raw tracepoint's program can be given.
const maxArgs = 12

// run runs a raw_tp program in the present thread.
func run(t *testing.T, prog *ebpf.Program, args ...uint64) uint32 {
	t.Helper()
	return runWith(t, prog, &ebpf.RunOptions{}, args)
}

// runOn runs a raw_tp program on one CPU, in the process that runs there.
func runOn(t *testing.T, cpu int, prog *ebpf.Program, args ...uint64) uint32 {
	t.Helper()
	return runWith(t, prog, &ebpf.RunOptions{CPU: uint32(cpu), Flags: unix.BPF_F_TEST_RUN_ON_CPU}, args)
}

func runWith(t *testing.T, prog *ebpf.Program, o *ebpf.RunOptions, args []uint64) uint32 {
	t.Helper()
	o.Context = append(args, make([]uint64, maxArgs-len(args))...)
	ret, err := prog.Run(o)
	if err != nil {
		t.Fatal("running", prog, err)
	}
	return ret
}

// get reads a variable of a loaded program.
func get[T any](t *testing.T, coll *ebpf.Collection, name string) (value T) {
	t.Helper()
	if err := coll.Variables[name].Get(&value); err != nil {
		t.Fatal("reading", name, err)
	}
	return value
}

// onOwnThread runs f in a thread that ends with f, so that f may change the
// thread's name, namespaces and ids. It is never the main thread: its tid is the
// pid, which would hide that a program confuses the two.
func onOwnThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			onOwnThread(f) // in another thread, because f must not run in the main thread
			return
		}
		f()
	}()
	<-done
}

// cstring is s as the kernel writes names.
func cstring(s string) (b [16]byte) {
	copy(b[:], s)
	return b
}
