// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

func TestCachedBuildStartsNoCompiler(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.build()
	second := b.build()
	if first.Cached || !second.Cached || b.compilations() != 1 {
		t.Errorf("cached %v then %v, %d compilations\n%s", first.Cached, second.Cached, b.compilations(), b.log.String())
	}
	if !bytes.Equal(first.Object, second.Object) {
		t.Error("the object from the cache is another")
	}
}

// Changes that must, and changes that must not, lead to a new compilation.
func TestWhatInvalidates(t *testing.T) {
	change := func(path, text string) func(*bench) {
		return func(b *bench) { files{path: text}.write(b, b.gadget) }
	}
	tests := []struct {
		name   string
		before func(*bench) // ahead of the first build
		change func(*bench)
		want   int // compilations in all
	}{
		{"nothing", nil, func(*bench) {}, 1},
		{"program", nil, change("program.bpf.c", program+"// more\n"), 2},
		{"own header", nil, change("local.h", "#define LOCAL 2\n"), 2},
		{"own header, the same again", nil, change("local.h", "#define LOCAL 1\n"), 1},
		{"own header removed and back", nil, func(b *bench) {
			os.Remove(b.gadget + "/local.h")
			if _, err := Dir(b.Context(), b.gadget, &b.o); err == nil {
				b.Error("built without a header")
			}
			smallGadget.write(b, b.gadget)
		}, 2}, // the failed one; the first build is still valid
		{"header of a header", func(b *bench) {
			files{"local.h": "#include \"sub/deep.h\"\n", "sub/deep.h": "#define LOCAL 3\n"}.write(b, b.gadget)
		}, change("sub/deep.h", "#define LOCAL 4\n"), 2},
		{"header beside the gadget", func(b *bench) {
			files{"gadget/local.h": "#include \"../shared.h\"\n", "shared.h": "#define LOCAL 3\n"}.write(b, filepath.Dir(b.gadget))
		}, change("../shared.h", "#define LOCAL 4\n"), 2},
		{"what a link points to", func(b *bench) {
			files{"real.h": "#define LOCAL 3\n"}.write(b, filepath.Dir(b.gadget))
			os.Remove(b.gadget + "/local.h")
			if err := os.Symlink("../real.h", b.gadget+"/local.h"); err != nil {
				b.Fatal(err)
			}
		}, change("../real.h", "#define LOCAL 4\n"), 2},
		{"gizmo's header", nil, func(b *bench) {
			files{"gadget/answer.h": smallHeaders["gadget/answer.h"] + "// more\n"}.write(b, b.o.Include)
		}, 2},
		{"header that hides one of gizmo's", nil, change("gadget/answer.h", smallHeaders["gadget/answer.h"]), 2},
		{"header that hides one of libbpf's", nil, change("bpf/bpf_helpers.h", "#include_next <bpf/bpf_helpers.h>\n"), 2},
		{"header that hides the kernel's types", nil, change("vmlinux.h", smallHeaders["vmlinux/amd64/vmlinux.h"]), 2},
		{"header that stands before one of libbpf's", nil, func(b *bench) {
			files{"compat/bpf/bpf_helpers.h": "#include_next <bpf/bpf_helpers.h>\n"}.write(b, b.o.Include)
		}, 2},
		{"header that hides one before libbpf's", func(b *bench) {
			files{"compat/bpf/bpf_helpers.h": "#include_next <bpf/bpf_helpers.h>\n"}.write(b, b.o.Include)
		}, change("bpf/bpf_helpers.h", "#include_next <bpf/bpf_helpers.h>\n"), 2},
		{"none hides one before libbpf's", func(b *bench) {
			files{"compat/bpf/bpf_helpers.h": "#include_next <bpf/bpf_helpers.h>\n"}.write(b, b.o.Include)
		}, func(*bench) {}, 1},
		{"header of the system", func(b *bench) {
			sys := b.TempDir()
			files{"system.h": "#define LOCAL 3\n"}.write(b, sys)
			files{"local.h": "#include <system.h>\n"}.write(b, b.gadget)
			b.TB.(*testing.T).Setenv("CPATH", sys)
		}, func(b *bench) { files{"system.h": "#define LOCAL 4\n"}.write(b, os.Getenv("CPATH")) }, 2},
		{"environment", nil, func(b *bench) { b.TB.(*testing.T).Setenv("CPATH", b.TempDir()) }, 2},
		{"architecture", nil, func(b *bench) {
			files{"vmlinux/arm64/vmlinux.h": smallHeaders["vmlinux/amd64/vmlinux.h"]}.write(b, b.o.Include)
			b.o.Arch = "arm64"
		}, 2},
		{"compiler of the same version", nil, func(b *bench) { b.o.Clang = b.countingClang("other") }, 1},
		{"metadata", nil, change("gadget.yaml", "name: x\n"), 1},
		{"other files", nil, change("README.md", "x"), 1},
		{"times", nil, func(b *bench) { os.Chtimes(b.gadget+"/local.h", time.Now(), time.Now()) }, 1},
		{"moved", nil, func(b *bench) {
			old := b.gadget
			b.gadget = filepath.Join(b.TempDir(), "elsewhere")
			if err := os.Rename(old, b.gadget); err != nil {
				b.Fatal(err)
			}
		}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			if test.before != nil {
				test.before(b)
			}
			b.build()
			test.change(b)
			r := b.build()
			if got := b.compilations(); got != test.want {
				t.Errorf("%d compilations, want %d\n%s", got, test.want, b.log.String())
			}
			b.o.Cache = t.TempDir()
			if fresh := b.build(); !bytes.Equal(r.Object, fresh.Object) {
				t.Error("not the object that a build without a cache gives")
			}
		})
	}
}

func TestMetadataIsNeverOld(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.build()
	files{"gadget.yaml": "name: new\n"}.write(t, b.gadget)
	if r := b.build(); !r.Cached || string(r.Metadata) != "name: new\n" {
		t.Errorf("cached %v, metadata %q", r.Cached, r.Metadata)
	}
}

// A header that is written while the compiler runs may have been read before or after: the build
// is good for this once only.
func TestWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	script, err := os.ReadFile(b.o.Clang)
	if err != nil {
		t.Fatal(err)
	}
	touching := strings.Replace(string(script), "exec ", "sleep 0.1; touch '"+b.gadget+"/local.h'\nexec ", 1)
	kerneltest.WriteProgram(t, b.o.Clang, []byte(touching))
	b.build()
	b.build()
	if b.compilations() != 2 {
		t.Errorf("%d compilations, want 2\n%s", b.compilations(), b.log.String())
	}
}

func TestDamagedCache(t *testing.T) {
	t.Parallel()
	damages := map[string]func([]byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"half":          func(d []byte) []byte { return d[:len(d)/2] },
		"one byte less": func(d []byte) []byte { return d[:len(d)-1] },
		"bit in label":  func(d []byte) []byte { d[0] ^= 1; return d },
		"bit in sum":    func(d []byte) []byte { d[sealSize-2] ^= 1; return d },
		"bit in list":   func(d []byte) []byte { d[sealSize+20] ^= 1; return d },
		"bit in object": func(d []byte) []byte { d[len(d)-9] ^= 1; return d },
		"no object":     func([]byte) []byte { return seal([]byte("{}\n")) },
		"no list":       func([]byte) []byte { return seal([]byte("\n")) },
		"garbage":       func([]byte) []byte { return bytes.Repeat([]byte("garbage\n"), 1000) },
	}
	b := newBench(t)
	want := b.build().Object
	entries, err := filepath.Glob(b.o.Cache + "/objects/*")
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d entries in the cache, %v", len(entries), err)
	}
	intact, err := os.ReadFile(entries[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range damages {
		if err := os.WriteFile(entries[0], damage(bytes.Clone(intact)), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := b.build(); r.Cached || !bytes.Equal(r.Object, want) {
			t.Errorf("%s: cached %v, right object %v", name, r.Cached, bytes.Equal(r.Object, want))
		}
		if r := b.build(); !r.Cached {
			t.Errorf("%s: not repaired", name)
		}
	}
}

func TestDamagedHeadersInCache(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	files{"program.bpf.c": "#include <vmlinux.h>\n#include <gadget/types.h>\ngadget_errno e;\n"}.write(t, b.gadget)
	b.o.Include = ""
	want := b.build().Object
	headers, _ := filepath.Glob(b.o.Cache + "/include/*/gadget/types.h")
	if len(headers) != 1 {
		t.Fatalf("headers in the cache: %q", headers)
	}
	if err := os.WriteFile(headers[0], []byte("typedef char gadget_errno;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(b.o.Cache + "/objects")
	if r := b.build(); r.Cached || !bytes.Equal(r.Object, want) {
		t.Error("the damaged header was used")
	}
}

func TestConcurrentBuilds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.o.Verbose = nil
	b.o.Include = ""
	files{"program.bpf.c": "#include <vmlinux.h>\n#include <gadget/types.h>\ngadget_errno e;\n"}.write(t, b.gadget)
	objects := make([][]byte, 6)
	var wg sync.WaitGroup
	for i := range objects {
		wg.Go(func() {
			r, err := Dir(t.Context(), b.gadget, &b.o)
			if err != nil {
				t.Error(err)
				return
			}
			objects[i] = r.Object
		})
	}
	wg.Wait()
	for _, o := range objects {
		if !bytes.Equal(o, objects[0]) {
			t.Error("not all the same")
		}
	}
	if left, _ := filepath.Glob(b.o.Cache + "/*/" + tempPrefix + "*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestCacheInPlaceOfFile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.o.Cache = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(b.o.Cache, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.build()
	if r := b.build(); r.Cached || len(r.Object) == 0 {
		t.Error("a build without a cache was cached or empty")
	}
	if r := b.build(); r.NoCache == nil || !strings.Contains(r.NoCache.Error(), "building without a cache: ") || !strings.Contains(r.NoCache.Error(), b.o.Cache) {
		t.Errorf("the user is told %v", r.NoCache)
	}
}

func BenchmarkCached(b *testing.B) {
	bench := newBench(b)
	bench.o.Verbose = nil
	bench.o.Include, bench.o.Clang = "", ""
	files{"program.bpf.c": "#include <vmlinux.h>\n#include <bpf/bpf_helpers.h>\n#include <gadget/types.h>\ngadget_errno e;\n"}.write(b, bench.gadget)
	bench.build()
	for b.Loop() {
		if !bench.build().Cached {
			b.Fatal("not cached")
		}
	}
}
