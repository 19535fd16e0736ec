// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"path/filepath"
	"slices"
	"testing"
)

func TestLoadOrder(t *testing.T) {
	const deps = `kernel/net/9p/9pnet.ko.xz:
kernel/net/9p/9pnet-virtio.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/virtio.ko kernel/ring.ko
kernel/fs/9p/9p.ko: kernel/fs/netfs.ko kernel/net/9p/9pnet.ko.xz
kernel/ring.ko:
not a line
`
	got := loadOrder(deps, []string{"9pnet_virtio", "built_in", "9p"})
	want := []string{
		"kernel/ring.ko", "kernel/virtio.ko", "kernel/net/9p/9pnet.ko.xz", "kernel/net/9p/9pnet-virtio.ko.xz",
		"kernel/fs/netfs.ko", "kernel/fs/9p/9p.ko",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestReadModule(t *testing.T) {
	dir := t.TempDir()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write([]byte("module"))
	w.Close()
	write(t, filepath.Join(dir, "a.ko"), "module")
	write(t, filepath.Join(dir, "b.ko.gz"), packed.String())
	for _, name := range []string{"a.ko", "b.ko.gz"} {
		if data, err := readModule(t.Context(), filepath.Join(dir, name)); err != nil || string(data) != "module" {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	write(t, filepath.Join(dir, "c.ko.gz"), "no such thing")
	if _, err := readModule(t.Context(), filepath.Join(dir, "c.ko.gz")); err == nil {
		t.Error("a damaged module is read")
	}
}

// Each entry is a header of 110 bytes, a name and contents, each up to a multiple of four.
func TestInitramfs(t *testing.T) {
	got := initramfs([]byte("guest"), []module{{"one", []byte("1")}, {"two", []byte("22")}})
	if len(got)%4 != 0 {
		t.Errorf("%d bytes", len(got))
	}
	var names []string
	for at := 0; at < len(got); {
		head := got[at : at+110]
		if string(head[:6]) != "070701" {
			t.Fatalf("at %d: no header: %q", at, head)
		}
		size, nameSize := hex(t, head[54:62]), hex(t, head[94:102])
		names = append(names, string(got[at+110:at+110+nameSize-1]))
		at = (at + 110 + nameSize + 3) / 4 * 4
		if names[len(names)-1] == "init" && string(got[at:at+size]) != "guest" {
			t.Errorf("the first program is %q", got[at:at+size])
		}
		at = (at + size + 3) / 4 * 4
	}
	want := []string{"dev", "dev/console", "init", "modules", "modules/000-one.ko", "modules/001-two.ko", "TRAILER!!!"}
	if !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

func hex(t *testing.T, digits []byte) int {
	t.Helper()
	n := 0
	for _, d := range digits {
		i := bytes.IndexByte([]byte("0123456789abcdef"), d)
		if i < 0 {
			t.Fatalf("not a number: %q", digits)
		}
		n = n<<4 | i
	}
	return n
}
