// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/include"
)

// compilers are all those present that gadgets may be built with.
func compilers(t *testing.T) []string {
	t.Helper()
	clang(t) // at least one, or this isn't a test
	var found []string
	for _, name := range []string{"clang-14", "clang-16", "clang-17", "clang-18", "clang-19"} {
		if _, err := exec.LookPath(name); err == nil {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		found = []string{"clang"}
	}
	return found
}

// headers are the API's, as a gadget includes them.
func headers(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("*.h")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	return files
}

// includes is a source that includes headers in the given order. Some want to be
// told which half of them is meant.
func includes(names ...string) string {
	var b strings.Builder
	b.WriteString("#define GADGET_TYPE_TRACING\n")
	for _, name := range names {
		b.WriteString("#include <gadget/" + name + ">\n")
	}
	return b.String()
}

// orders returns permutations of n numbers in which each number has each of the
// others right before it at least once. Modulo n, the zigzag 0, n-1, 1, n-2, …
// steps by every distance once; turned round it has the missing ones of an odd n.
func orders(n int) (all [][]int) {
	zigzag := make([]int, n)
	for i := range zigzag {
		zigzag[i] = i / 2
		if i%2 == 1 {
			zigzag[i] = n - 1 - i/2
		}
	}
	for shift := range n {
		there, back := make([]int, n), make([]int, n)
		for i, z := range zigzag {
			there[i] = (z + shift) % n
			back[n-1-i] = there[i]
		}
		all = append(all, there)
		if n%2 == 1 {
			all = append(all, back)
		}
	}
	return all
}

func TestOrders(t *testing.T) {
	for n := range 20 {
		seen := map[[2]int]bool{}
		for _, order := range orders(n) {
			for i := 1; i < n; i++ {
				seen[[2]int{order[i-1], order[i]}] = true
			}
		}
		if want := n * max(n-1, 0); len(seen) != want {
			t.Errorf("%d: %d pairs, want %d", n, len(seen), want)
		}
	}
}

func checkCompiles(t *testing.T, cc, source string, args ...string) {
	t.Helper()
	if out, err := compileSource(t, cc, source, args...); err != nil {
		t.Errorf("%s: %v\n%s\n%s", cc, err, source, out)
	}
}

// Alone with every compiler, which also generates code; and all together so that
// each header comes right after each other one.
func TestHeadersCompile(t *testing.T) {
	all := headers(t)
	for _, cc := range compilers(t) {
		t.Run(cc, func(t *testing.T) {
			t.Parallel()
			for _, name := range all {
				checkCompiles(t, cc, includes(name), "-c", "-o", "/dev/null")
			}
			for _, order := range orders(len(all)) {
				names := make([]string, len(all))
				for i, n := range order {
					names[i] = all[n]
				}
				checkCompiles(t, cc, includes(names...), "-fsyntax-only")
			}
		})
	}
}

// The test programs are gadgets, too: they compile with every compiler.
func TestProgramsCompile(t *testing.T) {
	programs, err := filepath.Glob("testdata/*.bpf.c")
	if err != nil || len(programs) == 0 {
		t.Fatal(programs, err)
	}
	for _, cc := range compilers(t) {
		for _, program := range programs {
			args := clangFlags("-c", program, "-o", "/dev/null")
			if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", cc, err, out)
			}
		}
	}
}

// What C can tell is wrong must not compile, and the message must say why.
func TestMistakes(t *testing.T) {
	const start = `
#include <gadget/buffer.h>
struct event { __u64 n; };
GADGET_TRACER_MAP(events, 4096);
`
	tests := []struct{ name, source, says string }{
		{"tracer of no map", "GADGET_TRACER(a, nomap, event);", "'nomap'"},
		{"tracer of no type", "GADGET_TRACER(a, events, notype);", "struct notype"},
		{"iterator of no type", "GADGET_ITER(a, notype, p);", "struct notype"},
		{"iterator of four programs", "GADGET_ITER(a, event, p1, p2, p3, p4);", "at most three programs"},
		{"map iterator of no map", "GADGET_MAPITER(a, nomap);", "'nomap'"},
		{"target of no map", "GADGET_ITER_TARGET_MAP(p, nomap);", "'nomap'"},
		{"socket target of no map", "GADGET_SK_TARGET_MAP(p, nomap);", "'nomap'"},
		{"parameter without a variable", "GADGET_PARAM(novar);", "'novar'"},
		{
			"event too large", "void *f(void) { return gadget_reserve_buf(&events, 10241); }",
			"larger than GADGET_MAX_EVENT_SIZE",
		},
		{
			"buffer without a counter",
			"void *f(void *map) { return gadget_reserve_buf(map, 8); }", "'map_lost_samples'",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := compileSource(t, clang(t), start+tt.source, "-fsyntax-only")
			if err == nil || !strings.Contains(out, tt.says) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	checkCompiles(t, clang(t), start+"void *f(void) { return gadget_reserve_buf(&events, 10240); }", "-fsyntax-only")
}

// The embedded copy has every header that the folder has.
func TestEmbedded(t *testing.T) {
	want := append(headers(t), "../vmlinux/amd64/vmlinux.h")
	for _, name := range want {
		path := filepath.Join("gadget", name)
		if b, err := fs.ReadFile(include.FS, path); err != nil || len(b) == 0 {
			t.Errorf("%s: %d bytes, %v", path, len(b), err)
		}
	}
}
