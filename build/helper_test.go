// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

const program = `#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/answer.h>
#include "local.h"

SEC("tracepoint/syscalls/sys_enter_openat")
int trace(void *ctx)
{
	return ANSWER + LOCAL + answer((int)bpf_get_current_pid_tgid());
}

char LICENSE[] SEC("license") = "GPL";
`

// files are texts under their paths.
type files map[string]string

func (f files) write(t testing.TB, dir string) {
	t.Helper()
	for path, text := range f {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		age(t, path)
	}
}

// age makes a file old enough for the cache to trust it.
func age(t testing.TB, path string) {
	t.Helper()
	then := time.Now().Add(-time.Minute)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
}

var smallGadget = files{"program.bpf.c": program, "local.h": "#define LOCAL 1\n"}

// smallHeaders stand in for gizmo's, so that a build takes little time.
var smallHeaders = files{
	"gadget/answer.h": "#define ANSWER 42\n" +
		"static __attribute__((noinline)) int answer(int a)\n{\n\treturn a * ANSWER;\n}\n",
	"vmlinux/amd64/vmlinux.h": "typedef unsigned short __u16;\ntypedef unsigned int __u32;\n" +
		"typedef unsigned long long __u64;\ntypedef long long __s64;\ntypedef __u16 __be16;\n" +
		"typedef __u32 __be32;\ntypedef __u32 __wsum;\ntypedef int __s32;\ntypedef unsigned char __u8;\n" +
		"enum bpf_map_type { BPF_MAP_TYPE_NONE };\n",
}

// bench is a place for builds: a gadget, headers, a cache, and a compiler that counts its runs.
type bench struct {
	testing.TB
	gadget string
	o      Options
	log    bytes.Buffer
	runs   string // the file that the compiler adds a byte to
}

func newBench(t testing.TB) *bench {
	t.Helper()
	needClang(t)
	b := &bench{TB: t, gadget: filepath.Join(t.TempDir(), "gadget"), runs: filepath.Join(t.TempDir(), "runs")}
	smallGadget.write(t, b.gadget)
	b.o = Options{Arch: "amd64", Cache: t.TempDir(), Include: t.TempDir(), Verbose: &b.log}
	smallHeaders.write(t, b.o.Include)
	b.o.Clang = b.countingClang("")
	return b
}

// countingClang makes a compiler that records each source it compiles and then runs the real
// compiler.
func (b *bench) countingClang(comment string) string {
	b.Helper()
	real, err := realTools()
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "clang")
	script := "#!/bin/sh\n#" + comment + "\ncase \"$*\" in *" + sourceName + "*) printf x >>'" + b.runs + "' ;; esac\nexec " +
		real.clang.Path + " \"$@\"\n"
	kerneltest.WriteProgram(b, path, []byte(script))
	return path
}

// testCache is an empty cache.
func testCache(t testing.TB) cache {
	t.Helper()
	c, err := openCache(t.TempDir(), logTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func (b *bench) build() *Result {
	b.Helper()
	r, err := Dir(context.Background(), b.gadget, &b.o)
	if err != nil {
		b.Fatalf("%v\n%s", err, b.log.String())
	}
	return r
}

func (b *bench) compilations() int {
	b.Helper()
	data, err := os.ReadFile(b.runs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.Fatal(err)
	}
	return len(data)
}

// realTools are those of this machine; asking the compilers for their versions takes a while.
var realTools = sync.OnceValues(func() (*tools, error) {
	return findTools(context.Background(), "", cache{say: logTo(nil)})
})

// needClang ends a test that cannot run on this machine. In CI everything can.
func needClang(t testing.TB) {
	t.Helper()
	_, err := realTools()
	if err == nil {
		return
	}
	kerneltest.Missing(t, "%v", err)
}
