// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// What is written to the device is in the file, and the device is free again when it is closed.
func TestAttachLoop(t *testing.T) {
	t.Parallel()
	kerneltest.RequireRoot(t)
	backing, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer backing.Close()
	if err := backing.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	device, err := AttachLoop(backing)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("block"), 100)
	if _, err := device.WriteAt(want, 8192); err != nil {
		t.Error(err)
	}
	if err := device.Sync(); err != nil {
		t.Error(err)
	}
	got := make([]byte, len(want))
	if _, err := backing.ReadAt(got, 8192); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file has %.20q (%v)", got, err)
	}
	file := "/sys/block/" + filepath.Base(device.Name()) + "/loop/autoclear"
	if text, err := os.ReadFile(file); err != nil || string(text) != "1\n" {
		t.Errorf("%s: %q, %v: the device stays when it is closed", file, text, err)
	}
	device.Close()
}

func TestMakeExt4(t *testing.T) {
	t.Parallel()
	kerneltest.RequireRoot(t)
	file := filepath.Join(t.TempDir(), "disk")
	if err := MakeExt4(file, 8<<20); err != nil {
		t.Fatal(err)
	}
	backing, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer backing.Close()
	device, err := AttachLoop(backing)
	if err != nil {
		t.Fatal(err)
	}
	root, err := MountDetached("ext4", device.Name())
	device.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(root, &fs); err != nil || fs.Type != unix.EXT4_SUPER_MAGIC {
		t.Errorf("a file system of the type %#x, %v", fs.Type, err)
	}
}

func TestFindProgram(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sh", "mkfs.ext4"} {
		if path, err := FindProgram(name); err != nil || !filepath.IsAbs(path) {
			t.Errorf("%s: %q, %v", name, path, err)
		}
	}
	if path, err := FindProgram("no-such-program"); err == nil {
		t.Errorf("found %s", path)
	}
}
