// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/oci/archive"
	"github.com/gizmo-ebpf/gizmo/oci/store"
)

// imageFile writes an image of a built-in gadget to a tar file, with types of kernels.
func imageFile(t *testing.T, gadget string, types []byte) string {
	t.Helper()
	g := oci.Gadget{BTFGen: types}
	for file, into := range map[string]*[]byte{"program.o": &g.Object, "gadget.yaml": &g.Metadata} {
		data, err := os.ReadFile(filepath.Join(moduleDir, "catalog/objects", gadget, file))
		if err != nil {
			t.Fatal(err)
		}
		*into = data
	}
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d, err := s.Add(t.Context(), "example.test/image:v1", func() (ocispec.Descriptor, error) {
		return oci.Pack(t.Context(), s, map[string]oci.Gadget{runtime.GOARCH: g}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := archive.Export(t.Context(), s, []store.Image{{Name: "example.test/image:v1", Descriptor: d}}, &file); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(name, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// typesLayer has the types of this kernel, as a builder packs those of many.
func typesLayer(t *testing.T) []byte {
	t.Helper()
	types, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		t.Fatal(err)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	z := gzip.NewWriter(&layer)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "./" + unix.ByteSliceToString(u.Release[:]) + ".btf", Size: int64(len(types)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(types); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return layer.Bytes()
}

// Where a kernel has no types, an image may bring them. Here the kernel's are hidden.
func TestTypesOfAnImage(t *testing.T) {
	kerneltest.RequireRoot(t)
	unshare := kerneltest.RequireProgram(t, "unshare")
	hidden := func(args ...string) []string {
		return append([]string{unshare, "-m", "sh", "-c", `mount -t tmpfs none /sys/kernel/btf && exec "$0" "$@"`, gizmoPath}, args...)
	}
	without := startProgram(t, setup{}, hidden("run", imageFile(t, "trace_exec", nil), "--host", "-o", "json", "-t", "10"))
	without.wantExit(t, 1)
	without.wantErr(t, "this kernel has no BTF")

	g := startProgram(t, setup{}, hidden("run", imageFile(t, "trace_exec", typesLayer(t)), "--host", "-o", "json"))
	g.waitAttached(t)
	eventually(t, "there is an event", func() bool {
		if err := exec.Command("true").Run(); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(g.out.String(), `"comm":"true"`)
	})
	g.interrupt(t)
}
