// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// imageHead makes the beginning of a bzImage with a text for its version.
func imageHead(text string) []byte {
	head := make([]byte, 0x400)
	copy(head[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(head[0x20e:], 0x100)
	copy(head[0x300:], text)
	return head
}

func TestImageVersion(t *testing.T) {
	const text = "6.1.0-56-amd64 (somebody@somewhere) #1 SMP"
	pointless := imageHead(text)
	binary.LittleEndian.PutUint16(pointless[0x20e:], 0xffff)
	for name, c := range map[string]struct {
		head []byte
		want string
	}{
		"whole":            {imageHead(text), "6.1.0-56-amd64"},
		"empty":            {nil, ""},
		"short":            {imageHead(text)[:0x205], ""},
		"other file":       {make([]byte, 0x400), ""},
		"points elsewhere": {pointless, ""},
		"no version":       {imageHead(""), ""},
		"a path":           {imageHead("../../etc x"), ""},
	} {
		got, err := parseImageHead(c.head)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

func TestCompareVersions(t *testing.T) {
	want := []string{"vmlinuz-5.10.0-9-amd64", "vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-56-amd64", "vmlinuz-6.9", "vmlinuz-6.9-rt", "vmlinuz-6.12"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, compareVersions)
	if !slices.Equal(got, want) {
		t.Errorf("sorted: %v", got)
	}
}

// findKernel returns a kernel together with the modules beside it, in whatever folder they are.
func TestFindKernelByFile(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"boot", "lib/modules/6.9.1-x", "flat/lib/modules/6.9.1-x", "lib/modules/6.12.0-x", "alone/a/b"} {
		write(t, filepath.Join(root, dir, dependencies), "")
	}
	for _, image := range []string{"boot/vmlinuz-6.9.1-x", "flat/bzImage", "alone/a/b/bzImage"} {
		write(t, filepath.Join(root, image), string(imageHead("6.9.1-x (me)")))
	}
	write(t, filepath.Join(root, "boot/vmlinuz-6.12.0-x"), string(imageHead("6.12.0-x (me)")))
	write(t, filepath.Join(root, "boot/vmlinuz-7.0-without-modules"), string(imageHead("7.0-without-modules (me)")))
	for image, modules := range map[string]string{
		"boot/vmlinuz-6.9.1-x": "lib/modules/6.9.1-x",
		"flat/bzImage":         "flat/lib/modules/6.9.1-x",
		"alone/a/b/bzImage":    "",
	} {
		k, err := findKernel(t.Context(), filepath.Join(root, image))
		if modules != "" {
			modules = filepath.Join(root, modules)
		}
		if err != nil || k.version != "6.9.1-x" || k.modules != modules {
			t.Errorf("%s: %+v, %v", image, k, err)
		}
	}
	if k := newestIn(root); k == nil || k.version != "6.12.0-x" {
		t.Errorf("the newest is %+v", k)
	}
	if _, err := findKernel(t.Context(), filepath.Join(root, "lib/none")); err == nil {
		t.Error("a kernel that is not there is found")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPackagesOfAKernel(t *testing.T) {
	const text = "linux-image-generic\n  Depends: linux-image-6.8.0-1-generic\n  Depends: linux-firmware\n |Depends: linux-modules-6.8.0-1-generic\n"
	got := dependsOn(strings.ReplaceAll(text, " |", "  "))
	if want := []string{"linux-image-6.8.0-1-generic", "linux-modules-6.8.0-1-generic"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
