// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

func TestDirWithOwnHeaders(t *testing.T) {
	t.Parallel()
	needClang(t)
	gadget := t.TempDir()
	files{
		"program.bpf.c": "#include <vmlinux.h>\n#include <bpf/bpf_helpers.h>\n#include <gadget/types.h>\n" +
			"struct e { gadget_errno x; };\nstruct e *unused __attribute__((unused));\n",
		"gadget.yaml": "name: small\n",
	}.write(t, gadget)
	r, err := Dir(context.Background(), gadget, &Options{Arch: "amd64", Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if r.Cached || string(r.Metadata) != "name: small\n" || r.Source != gadget+"/program.bpf.c" {
		t.Errorf("unexpected result: cached %v, metadata %q, source %q", r.Cached, r.Metadata, r.Source)
	}
	f, err := elf.NewFile(bytes.NewReader(r.Object))
	if err != nil {
		t.Fatal(err)
	}
	if f.Machine != elf.EM_BPF || f.Section(".BTF") == nil {
		t.Errorf("not a BPF object with BTF: machine %v", f.Machine)
	}
	if f.Section(".debug_info") != nil && findStrip(Clang{}) != "" {
		t.Error("the debug information was not removed")
	}
}

// A gadget without a program takes no compiler and no cache.
func TestDirWithoutProgram(t *testing.T) {
	t.Parallel()
	gadget := t.TempDir()
	files{"gadget.yaml": "name: small\n"}.write(t, gadget)
	r, err := Dir(context.Background(), gadget, &Options{Clang: "/nowhere/clang", Cache: "/nowhere/cache"})
	if err != nil || r.Object != nil || string(r.Metadata) != "name: small\n" || r.NoCache != nil {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Dir(context.Background(), gadget, &Options{Arch: "z80"}); err == nil {
		t.Error("an unknown architecture passes")
	}
}

// Additions of newer versions of libbpf exist whatever the system's version is, and the cache still keeps
// builds.
func TestNewerThanSystemsLibbpf(t *testing.T) {
	t.Parallel()
	needClang(t)
	gadget := t.TempDir()
	files{
		"program.bpf.c": `#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("uprobe/libc:mmap")
int BPF_UPROBE(mapped, void *addr, __u64 len, int prot, int flags, int fd, __u64 off)
{
	return off != 0;
}
`,
	}.write(t, gadget)
	o := &Options{Arch: "amd64", Cache: t.TempDir()}
	for i := range 2 {
		r, err := Dir(t.Context(), gadget, o)
		if err != nil {
			t.Fatal(err)
		}
		if r.Warnings != "" || r.Cached != (i == 1) {
			t.Errorf("build %d: cached %v, warnings %q", i, r.Cached, r.Warnings)
		}
	}
}

// All built-in gadgets, and one that takes its types from user space, can be built for each architecture
// on any machine.
func TestArchitectures(t *testing.T) {
	t.Parallel()
	needClang(t)
	gadgets, err := filepath.Glob("../gadgets/*/program.bpf.c")
	if err != nil || len(gadgets) == 0 {
		t.Fatal(gadgets, err)
	}
	packets := t.TempDir()
	files{
		"program.bpf.c": "#include <linux/bpf.h>\n#include <linux/ip.h>\n#include <linux/tcp.h>\n" +
			"#define GADGET_TYPE_NETWORKING\n#include <gadget/sockets-map.h>\n" +
			"SEC(\"socket1\") int f(struct __sk_buff *skb) { return gadget_socket_lookup(skb) != NULL; }\n",
	}.write(t, packets)
	for _, gadget := range append(gadgets, packets+"/program.bpf.c") {
		for _, arch := range arches {
			if runtime.GOARCH == arch.name && gadget != packets+"/program.bpf.c" {
				continue // make builds these
			}
			r, err := Dir(t.Context(), filepath.Dir(gadget), &Options{Arch: arch.name, Cache: t.TempDir()})
			if err != nil {
				t.Errorf("%s for %s: %v", gadget, arch.name, err)
			} else if r.Warnings != "" {
				t.Errorf("%s for %s: %s", gadget, arch.name, r.Warnings)
			}
		}
	}
}

func TestNoMetadata(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if r := b.build(); r.Metadata != nil {
		t.Errorf("metadata %q from a gadget without", r.Metadata)
	}
}

func TestReproducible(t *testing.T) {
	t.Parallel()
	names := []string{"plain", "with space", "a=b", "a#b", "a$b", "it's", `quo"te`, `back\slash`, "ünï", "-dash", "a:b", "a,b", "%s", "new\nline"}
	var want []byte
	for _, name := range names {
		b := newBench(t)
		b.gadget = filepath.Join(t.TempDir(), name)
		smallGadget.write(t, b.gadget)
		b.o.Cache = filepath.Join(t.TempDir(), name)
		if !isOdd(name) { // on such a path the gadget's own headers do leave a trace
			b.o.Include = filepath.Join(t.TempDir(), name)
			smallHeaders.write(t, b.o.Include)
		}
		r := b.build()
		if want == nil {
			want = r.Object
		}
		if !bytes.Equal(r.Object, want) {
			t.Errorf("in %q: not the same object", name)
		}
		if again := b.build(); !again.Cached {
			t.Errorf("in %q: not remembered\n%s", name, b.log.String())
		}
	}
	for _, text := range []string{"return a * ANSWER;", "program.bpf.c", "/gizmo/include/gadget/answer.h"} {
		if !bytes.Contains(want, []byte(text)) {
			t.Errorf("BTF has no %q for the verifier's log", text)
		}
	}
	if bytes.Contains(want, []byte(os.TempDir())) {
		t.Error("a path of this machine is in the object")
	}
}

// clang puts structs that are only declared into BTF in the order of their addresses in its memory, and the
// lengths of paths change these. A gadget with many of them does not depend on that.
func TestReproducibleOrderOfTypes(t *testing.T) {
	t.Parallel()
	needClang(t)
	temp := t.TempDir()
	var want []byte
	for i := range 6 {
		r, err := Dir(t.Context(), "../gadgets/snapshot_socket", &Options{
			Arch: "amd64", Cache: filepath.Join(temp, strings.Repeat("x", 1+5*i)),
		})
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = r.Object
		}
		if !bytes.Equal(r.Object, want) {
			t.Errorf("another object with a cache in %d letters", 1+5*i)
		}
	}
}

// The same gadget is the same however its folder is named.
func TestWaysToNameAFolder(t *testing.T) {
	b := newBench(t)
	parent := filepath.Dir(b.gadget)
	if err := os.Rename(b.gadget, parent+"/-g"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("-g", parent+"/link"); err != nil {
		t.Fatal(err)
	}
	b.gadget = parent + "/-g"
	want := b.build().Object
	for _, name := range []string{".", "./", "../-g", "../link", "../link/", parent + "/link", "../../" + filepath.Base(parent) + "/-g", "-g"} {
		t.Chdir(parent + "/-g")
		if name == "-g" {
			t.Chdir(parent)
		}
		b.gadget = name
		if r := b.build(); !r.Cached {
			t.Errorf("%q was not recognised\n%s", name, b.log.String())
		}
		cached := b.o.Cache
		b.o.Cache = t.TempDir()
		if r := b.build(); !bytes.Equal(r.Object, want) {
			t.Errorf("%q gives another object", name)
		}
		if r := b.build(); !r.Cached {
			t.Errorf("%q is not remembered\n%s", name, b.log.String())
		}
		b.o.Cache = cached
	}
}

func TestWarningsAreRemembered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	files{"program.bpf.c": "static int unused;\nint used;\n"}.write(t, b.gadget)
	for range 2 {
		if r := b.build(); !strings.Contains(r.Warnings, "unused") {
			t.Errorf("cached %v: warnings %q", r.Cached, r.Warnings)
		}
	}
}

func TestCompileError(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	files{"program.bpf.c": "int a = 1\n\nint b = nowhere;\n"}.write(t, b.gadget)
	_, err := Dir(t.Context(), b.gadget, &b.o)
	var ce *CompileError
	if !errors.As(err, &ce) {
		t.Fatalf("error %v", err)
	}
	if want := b.gadget + "/program.bpf.c:1:10: error: expected ';'"; !strings.Contains(ce.Output, want) ||
		!strings.Contains(ce.Output, "nowhere") {
		t.Errorf("output is not the compiler's:\n%s", ce.Output)
	}
	if text := err.Error(); strings.Contains(text, "\n") || !strings.Contains(text, "expected ';'") {
		t.Errorf("error %q", text)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Error("the cause is lost")
	}
}

// Errors that the compiler finds only when it makes machine code have the line of the source, too.
func TestCompileErrorOfMachineCode(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	files{"program.bpf.c": "int f(void)\n{\n\tvolatile char big[600];\n\n\tfor (int i = 0; i < 600; i++)\n\t\tbig[i] = i;\n\treturn big[7];\n}\n"}.write(t, b.gadget)
	_, err := Dir(t.Context(), b.gadget, &b.o)
	var ce *CompileError
	if !errors.As(err, &ce) {
		t.Fatalf("error %v", err)
	}
	if text := err.Error(); !strings.Contains(text, b.gadget+"/program.bpf.c:") || !strings.Contains(text, "stack limit") {
		t.Errorf("error %q", text)
	}
	if !strings.Contains(ce.Output, "int f(void)") {
		t.Errorf("the source is not shown:\n%s", ce.Output)
	}
}

func TestMissingLibbpf(t *testing.T) {
	b := newBench(t)
	t.Setenv("CCC_OVERRIDE_OPTIONS", "# +-nostdinc")
	_, err := Dir(t.Context(), b.gadget, &b.o)
	if err == nil || !strings.Contains(err.Error(), "apt-get install libbpf-dev") {
		t.Errorf("error %v", err)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.o.Clang = filepath.Join(t.TempDir(), "clang")
	script := "#!/bin/sh\n[ \"$1\" = --version ] && { echo clang version 19.1.0; exit; }\n: >'" + b.runs + "'\nexec sleep 60\n"
	kerneltest.WriteProgram(t, b.o.Clang, []byte(script))
	go func() {
		defer cancel()
		for range 1000 {
			if _, err := os.Stat(b.runs); err == nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if _, err := Dir(ctx, b.gadget, &b.o); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestBadGadgets(t *testing.T) {
	t.Parallel()
	link := func(to string) func(string) error {
		return func(dir string) error { return os.Symlink(to, dir+"/program.bpf.c") }
	}
	tests := []struct {
		name, want string
		make       func(dir string) error
	}{
		{"no folder", "there is no folder", func(dir string) error { return os.Remove(dir) }},
		{"a file", "give the folder that holds program.bpf.c", func(dir string) error {
			os.Remove(dir)
			return os.WriteFile(dir, nil, 0o600)
		}},
		{"empty folder", "it has no file program.bpf.c", func(string) error { return nil }},
		{"link to nothing", "it has no file program.bpf.c", link("nothing")},
		{"link to itself", "too many levels", link("program.bpf.c")},
		{"program is a folder", "not a regular file", func(dir string) error { return os.Mkdir(dir+"/program.bpf.c", 0o700) }},
		{"program is a pipe", "not a regular file", func(dir string) error { return syscall.Mkfifo(dir+"/program.bpf.c", 0o600) }},
		{"program never ends", "not a regular file", link("/dev/zero")},
		{"program too large", "program.bpf.c has 16777217 bytes; program.bpf.c may have at most 16777216", func(dir string) error {
			os.WriteFile(dir+"/program.bpf.c", nil, 0o600)
			return os.Truncate(dir+"/program.bpf.c", maxProgram+1)
		}},
		{"metadata too large", "gadget.yaml has 1048577 bytes; gadget.yaml may have at most 1048576", func(dir string) error {
			os.WriteFile(dir+"/program.bpf.c", nil, 0o600)
			os.WriteFile(dir+"/gadget.yaml", nil, 0o600)
			return os.Truncate(dir+"/gadget.yaml", MaxMetadata+1)
		}},
		{"metadata is a pipe", "gadget.yaml is not a regular file", func(dir string) error {
			os.WriteFile(dir+"/program.bpf.c", nil, 0o600)
			return syscall.Mkfifo(dir+"/gadget.yaml", 0o600)
		}},
		{"metadata is a folder", "metadata", func(dir string) error {
			os.WriteFile(dir+"/program.bpf.c", nil, 0o600)
			return os.Mkdir(dir+"/gadget.yaml", 0o700)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := test.make(dir); err != nil {
				t.Fatal(err)
			}
			_, err := Dir(t.Context(), dir, &Options{Cache: t.TempDir()})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error %v; want one with %q and the path", err, test.want)
			}
		})
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	gadget := t.TempDir()
	smallGadget.write(t, gadget)
	headers := t.TempDir()
	smallHeaders.write(t, headers)
	tests := []struct {
		name, want string
		o          Options
	}{
		{"architecture", `architecture "mips": use one of amd64, arm64`, Options{Arch: "mips"}},
		{"no headers", "no vmlinux.h", Options{Include: t.TempDir(), Arch: "amd64"}},
		{"not for that architecture", "only for amd64", Options{Include: headers, Arch: "arm64"}},
		{"compiler", "/nowhere/clang", Options{Clang: "/nowhere/clang", Arch: "amd64"}},
		{"not a compiler", "which version", Options{Clang: "true", Arch: "amd64"}},
	}
	for _, test := range tests {
		test.o.Cache = t.TempDir()
		if _, err := Dir(t.Context(), gadget, &test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v; want %q", test.name, err, test.want)
		}
	}
}
