// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package ldcache_test

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/ldcache"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

type entry struct {
	arch       ldcache.Arch
	name, path string
}

var sample = []entry{
	{ldcache.AMD64, "libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6"},
	{0x0803, "libc.so.6", "/libx32/libc.so.6"},
	{0x0003, "libc.so.6", "/lib32/libc.so.6"},
	{ldcache.AMD64, "libz.so.1", "/usr/lib/glibc-hwcaps/x86-64-v3/libz.so.1"},
	{ldcache.AMD64, "libz.so.1", "/usr/lib/libz.so.1"},
	{ldcache.AMD64, "libz.so.2", "relative/libz.so.2"},
	{ldcache.ARM64, "libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6"},
}

// newFormat lays entries out as ldconfig does today.
func newFormat(list []entry) []byte {
	out := []byte("glibc-ld.so.cache1.1")
	out = binary.LittleEndian.AppendUint32(out, uint32(len(list)))
	out = append(out, make([]byte, 24)...)
	at := uint32(len(out) + 24*len(list))
	var texts []byte
	add := func(s string) uint32 {
		start := at + uint32(len(texts))
		texts = append(append(texts, s...), 0)
		return start
	}
	for _, e := range list {
		out = binary.LittleEndian.AppendUint32(out, uint32(e.arch))
		out = binary.LittleEndian.AppendUint32(out, add(e.name))
		out = binary.LittleEndian.AppendUint32(out, add(e.path))
		out = append(out, make([]byte, 12)...)
	}
	return append(out, texts...)
}

// oldFormat encodes entries in the old format of ldconfig, and appends the new format if with is
// true.
func oldFormat(list []entry, with bool) []byte {
	out := append([]byte("ld.so-1.7.0"), 0)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(list)))
	var texts []byte
	add := func(s string) uint32 {
		start := uint32(len(texts))
		texts = append(append(texts, s...), 0)
		return start
	}
	for _, e := range list {
		out = binary.LittleEndian.AppendUint32(out, uint32(e.arch))
		out = binary.LittleEndian.AppendUint32(out, add(e.name))
		out = binary.LittleEndian.AppendUint32(out, add(e.path))
	}
	if !with {
		return append(out, texts...)
	}
	for len(out)%8 != 0 {
		out = append(out, 0)
	}
	return append(out, newFormat(list)...)
}

func named(prefix string) func(string) bool {
	return func(name string) bool { return strings.HasPrefix(name, prefix) }
}

func TestFind(t *testing.T) {
	t.Parallel()
	for format, data := range map[string][]byte{
		"new": newFormat(sample), "old": oldFormat(sample, false), "both": oldFormat(sample, true),
	} {
		tests := []struct {
			arch ldcache.Arch
			name string
			want []string
		}{
			{ldcache.AMD64, "libc.so", []string{"/lib/x86_64-linux-gnu/libc.so.6"}},
			{ldcache.ARM64, "libc.so", []string{"/lib/aarch64-linux-gnu/libc.so.6"}},
			{ldcache.AMD64, "libz.so", []string{"/usr/lib/glibc-hwcaps/x86-64-v3/libz.so.1", "/usr/lib/libz.so.1"}},
			{ldcache.AMD64, "libnone", nil},
		}
		for _, test := range tests {
			got, err := ldcache.Find(data, test.arch, named(test.name))
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("%s: %s: %q, %v, want %q", format, test.name, got, err, test.want)
			}
		}
	}
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	count := func(data []byte, at int, n uint32) []byte {
		binary.LittleEndian.PutUint32(data[at:], n)
		return data
	}
	for name, data := range map[string][]byte{
		"empty":          nil,
		"text":           []byte("# nothing\n"),
		"magic only":     []byte("glibc-ld.so.cache1.1"),
		"old magic only": []byte("ld.so-1.7.0"),
		"cut off":        newFormat(sample)[:100],
		"count":          count(newFormat(sample), 20, 1<<32-1),
		"old count":      count(oldFormat(sample, false), 12, 1<<32-1),
		"other version":  []byte("glibc-ld.so.cache1.2" + strings.Repeat("\x00", 100)),
	} {
		if got, err := ldcache.Find(data, ldcache.AMD64, named("")); !errors.Is(err, ldcache.ErrFormat) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := ldcache.Find(make([]byte, ldcache.MaxSize+1), ldcache.AMD64, named("")); err == nil {
		t.Error("a cache that is too large was read")
	}
}

// The reader skips entries that point out of the file, or to texts without an end.
func TestWildEntries(t *testing.T) {
	t.Parallel()
	data := newFormat(sample)
	binary.LittleEndian.PutUint32(data[48+4:], 1<<32-1) // the name of the first
	binary.LittleEndian.PutUint32(data[48+3*24+8:], uint32(len(data)-1))
	data[len(data)-1] = 'x'
	got, err := ldcache.Find(data, ldcache.AMD64, named("lib"))
	if want := []string{"/usr/lib/libz.so.1"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

func TestTooMany(t *testing.T) {
	t.Parallel()
	list := make([]entry, 10_000)
	for i := range list {
		list[i] = sample[0]
	}
	if got, err := ldcache.Find(newFormat(list), ldcache.AMD64, named("libc")); err == nil {
		t.Errorf("%d files", len(got))
	}
}

// The machine's own cache is read as ldconfig reads it.
func TestThisMachine(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("/etc/ld.so.cache")
	if err != nil {
		kerneltest.Missing(t, "this machine has no cache: %v", err)
	}
	ldconfig := "/sbin/ldconfig"
	out, err := exec.Command(ldconfig, "-p").Output()
	if err != nil {
		kerneltest.Missing(t, "no ldconfig to compare with: %v", err)
	}
	var want []string
	for line := range strings.Lines(string(out)) {
		if name, path, ok := strings.Cut(strings.TrimSpace(line), " => "); ok && strings.HasPrefix(name, "libc.so.6 (libc6,x86-64") {
			want = append(want, path)
		}
	}
	got, err := ldcache.Find(data, ldcache.AMD64, func(name string) bool { return name == "libc.so.6" })
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

func FuzzFind(f *testing.F) {
	f.Add(newFormat(sample))
	f.Add(oldFormat(sample, false))
	f.Add(oldFormat(sample, true))
	f.Fuzz(func(t *testing.T, data []byte) {
		paths, err := ldcache.Find(data, ldcache.AMD64, func(string) bool { return true })
		if err != nil {
			return
		}
		for _, p := range paths {
			if len(p) == 0 || p[0] != '/' || len(p) >= 4096 {
				t.Errorf("path %q", p)
			}
		}
	})
}

func BenchmarkFind(b *testing.B) {
	list := make([]entry, 2000)
	for i := range list {
		list[i] = sample[4]
	}
	data := newFormat(append(list, sample[0]))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := ldcache.Find(data, ldcache.AMD64, named("libc.so")); err != nil {
			b.Fatal(err)
		}
	}
}
