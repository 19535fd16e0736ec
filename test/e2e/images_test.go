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

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/internal/uname"
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
	var layer bytes.Buffer
	z := gzip.NewWriter(&layer)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "./" + uname.Release() + ".btf", Size: int64(len(types)), Mode: 0o644}); err != nil {
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

// withoutTypes returns the command line of a run of gizmo that sees no types of the kernel.
func withoutTypes(t *testing.T, args ...string) []string {
	t.Helper()
	unshare := kerneltest.RequireProgram(t, "unshare")
	return append([]string{unshare, "-m", "sh", "-c", `mount -t tmpfs none /sys/kernel/btf && exec "$0" "$@"`, gizmoPath}, args...)
}

// wantExec waits until a run shows a program that has started.
func wantExec(t *testing.T, g *process) {
	t.Helper()
	g.waitAttached(t)
	eventually(t, "there is an event", func() bool {
		if err := exec.Command("true").Run(); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(g.out.String(), `"comm":"true"`)
	})
	g.interrupt(t)
}

// Where a kernel has no types, an image may bring them. Here the kernel's are hidden.
func TestTypesOfAnImage(t *testing.T) {
	kerneltest.RequireRoot(t)
	hidden := func(args ...string) []string { return withoutTypes(t, args...) }
	without := startProgram(t, setup{}, hidden("run", imageFile(t, "trace_exec", nil), "--host", "-o", "json", "-t", "10"))
	without.wantExit(t, 1)
	without.wantErr(t, "this kernel has no BTF")

	wantExec(t, startProgram(t, setup{}, hidden("run", imageFile(t, "trace_exec", typesLayer(t)), "--host", "-o", "json")))
}

// kernelArchive has the types of this kernel as BTFHub has those of many.
func kernelArchive(t *testing.T) string {
	t.Helper()
	archive := t.TempDir()
	const pack = `. /etc/os-release; release=$(uname -r); arch=$(uname -m | sed s/aarch64/arm64/); mkdir -p "$0/$ID/$VERSION_ID/$arch"
cp /sys/kernel/btf/vmlinux "$0/$release.btf"; tar -C "$0" -cJf "$0/$ID/$VERSION_ID/$arch/$release.btf.tar.xz" "$release.btf"`
	if out, err := exec.Command("sh", "-c", pack, archive).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return archive
}

// An image that was built with the types of an archive has what its gadget needs of them.
func TestTypesOfAnArchive(t *testing.T) {
	kerneltest.RequireRoot(t)
	with := setup{env: []string{"GIZMO_OCI_STORE=" + t.TempDir()}}
	archive := kernelArchive(t)
	for _, gadget := range []string{"trace_exec", "trace_dns"} {
		built := start(t, with, "image", "build", filepath.Join(moduleDir, "gadgets", gadget), "-t", gadget, "--btfgen", "--btfhub-archive", archive)
		built.wantExit(t, 0)
		built.wantErr(t, "gizmo: warning: --btfgen: no types of kernels for ") // of the other architecture
	}
	wantExec(t, startProgram(t, with, withoutTypes(t, "run", "trace_exec:latest", "--host", "-o", "json")))
	dns := startProgram(t, with, withoutTypes(t, "run", "trace_dns:latest", "--host"))
	dns.wantExit(t, 1)
	dns.wantErr(t, "gizmo: the gadget asks for the owners of sockets, which gizmo finds only on kernels that have their own types")
}
