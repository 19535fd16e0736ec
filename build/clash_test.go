// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// clashing defines names that the types of kernelOfAnother have, with each kind of error that C reports about that.
const clashing = `#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

struct once { __u32 own; };
enum request { FIRST = 1 };
enum { SHARED = 7 };
static const int none = 3;
typedef __u64 reading;

struct once first_of;
enum request how;

SEC("tracepoint/syscalls/sys_enter_openat")
int trace(struct task *t)
{
	struct once o = { .own = SHARED + none };

	return o.own + FIRST + (int)(long)t->state->next;
}

char LICENSE[] SEC("license") = "GPL";
`

const kernelOfAnother = `#pragma once
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef int __s32;
typedef unsigned char __u8;
enum bpf_map_type { BPF_MAP_TYPE_NONE };
struct once { int state; void *next; };
struct request { int tag; };
enum behaviour { SHARED = 1, EXCLUSIVE };
enum { none, some };
struct task { struct once *state; struct request *request; };
#pragma clang attribute pop
`

func newClash(t *testing.T, program string) *bench {
	t.Helper()
	b := newBench(t)
	files{"program.bpf.c": program}.write(t, b.gadget)
	files{"vmlinux/amd64/vmlinux.h": kernelOfAnother}.write(t, b.o.Include)
	return b
}

// A gadget whose author had the types of another kernel may define names that gizmo's types have.
func TestClashWithKernel(t *testing.T) {
	t.Parallel()
	b := newClash(t, clashing)
	r := b.build()
	want := b.gadget + "/program.bpf.c: warning: <vmlinux.h> also defines once, request, SHARED, none; gizmo uses the gadget's own definitions\n"
	if r.Warnings != want {
		t.Errorf("got  %swant %s", r.Warnings, want)
	}
	types, err := btf.LoadSpecFromReader(bytes.NewReader(r.Object))
	if err != nil {
		t.Fatal(err)
	}
	for name, member := range map[string]string{"once": "own", "once___kernel": "state"} {
		var s *btf.Struct
		if err := types.TypeByName(name, &s); err != nil || s.Members[0].Name != member {
			t.Errorf("struct %s: %v, %v", name, s, err)
		}
	}

	if again := b.build(); !again.Cached || again.Warnings != want || !bytes.Equal(again.Object, r.Object) {
		t.Errorf("the second time: cached %v, %q, the same object %v", again.Cached, again.Warnings, bytes.Equal(again.Object, r.Object))
	}
	b.o.Cache = t.TempDir()
	if other := b.build(); other.Cached || !bytes.Equal(other.Object, r.Object) {
		t.Errorf("elsewhere: cached %v, the same object %v", other.Cached, bytes.Equal(other.Object, r.Object))
	}
	files{"vmlinux/amd64/vmlinux.h": kernelOfAnother + "struct more { int x; };\n"}.write(t, b.o.Include)
	if b.build().Cached {
		t.Error("another vmlinux.h has no effect")
	}
	if left, _ := filepath.Glob(filepath.Join(b.o.Cache, "*/*/clashes.h")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// The error shows the other faults, and also the warning about the names.
func TestClashAndError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ add, says string }{
		"an error":                       {"int wrong(void) { return nowhere; }", "undeclared identifier 'nowhere'"},
		"a member with the name":         {"int lost(struct task *t) { return t->request->tag; }", "no member named 'request'"},
		"a definition of its own, twice": {"struct once { int again; };", "redefinition of 'once'"},
	} {
		b := newClash(t, clashing+c.add+"\n")
		_, err := Dir(context.Background(), b.gadget, &b.o)
		var failed *CompileError
		if !errors.As(err, &failed) || !strings.Contains(failed.Output, c.says) || !strings.Contains(failed.Output, "also defines once, request") {
			t.Errorf("%s: %v\n%s", name, err, failed.Output)
		}
		if n := b.compilations(); n > 3 {
			t.Errorf("%s: compiled %d times", name, n)
		}
	}
}

// A gadget that defines a name twice by itself has no clash with the kernel.
func TestNoClash(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := os.WriteFile(filepath.Join(b.gadget, "program.bpf.c"), []byte("struct a { int x; };\nstruct a { int y; };\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Dir(context.Background(), b.gadget, &b.o)
	if err == nil || strings.Contains(err.Error(), "vmlinux") || b.compilations() != 1 {
		t.Errorf("compiled %d times: %v", b.compilations(), err)
	}
}
