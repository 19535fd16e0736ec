// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// The time that a build takes besides the compiler, without a cache. A test allows three times as long, because its machine is not
// idle.
const (
	buildBudget = 400 * time.Millisecond
	buildSlack  = 3
)

// timedClang makes a compiler that records how long the real one takes, in nanoseconds.
func timedClang(t *testing.T, notes string) string {
	t.Helper()
	real, err := realTools()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "clang")
	script := "#!/bin/sh\nbegan=$(date +%s%N)\n" + real.clang.Path + " \"$@\"\nresult=$?\necho $(($(date +%s%N) - began)) >>" + notes + "\nexit $result\n"
	kerneltest.WriteProgram(t, path, []byte(script))
	return path
}

func TestBuildBudget(t *testing.T) {
	needClang(t)
	dir := t.TempDir()
	gadget, notes := filepath.Join(dir, "gadget"), filepath.Join(dir, "notes")
	files{"program.bpf.c": `#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
struct event { int x; };
GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(t, events, event);
SEC("raw_tp/sched_process_exec")
int p(void *ctx) { struct event e = {}; gadget_output_buf(ctx, &events, &e, sizeof(e)); return 0; }
char LICENSE[] SEC("license") = "GPL";
`}.write(t, gadget)
	clang := timedClang(t, notes)
	least := time.Hour
	for range 3 {
		cold := &Options{Clang: clang, Cache: t.TempDir()}
		began := time.Now()
		r, err := Dir(t.Context(), gadget, cold)
		took := time.Since(began)
		if err != nil || r.Cached {
			t.Fatalf("%+v, %v", r, err)
		}
		text, err := os.ReadFile(notes)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Fields(string(text)) {
			ns, err := strconv.ParseInt(line, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			took -= time.Duration(ns)
		}
		if err := os.Remove(notes); err != nil {
			t.Fatal(err)
		}
		least = min(least, took)
	}
	t.Logf("a build takes %v beside the compiler (budget %v)", least, buildBudget)
	if least <= 0 || least > buildSlack*buildBudget {
		t.Errorf("a build takes %v beside the compiler; the budget is %v", least, buildBudget)
	}
}
