// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package btfgen

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
	"github.com/ulikunitz/xz"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/oci"
)

// put writes a file of an archive, with members of the given names and contents in turn.
func put(t *testing.T, archive, name string, members ...string) {
	t.Helper()
	var text bytes.Buffer
	zipped, err := xz.NewWriter(&text)
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewWriter(zipped)
	for i := 0; i < len(members); i += 2 {
		if err := files.WriteHeader(&tar.Header{Name: members[i], Size: int64(len(members[i+1])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := files.Write([]byte(members[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(archive, name), text.Bytes())
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// object is a gadget that refers to kernel types.
func object(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("../../catalog/objects/trace_exec/program.o")
	if err != nil {
		kerneltest.Missing(t, "make build has not built the gadgets: %v", err)
	}
	return data
}

func requireTool(t *testing.T) {
	t.Helper()
	if _, err := findTool(); err != nil {
		kerneltest.Missing(t, "%v", err)
	}
}

// Of this kernel's types few are left, which an image brings where they are needed.
func TestMake(t *testing.T) {
	t.Parallel()
	requireTool(t)
	whole, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		t.Fatal(err)
	}
	archive := t.TempDir()
	put(t, archive, "debian/12/x86_64/6.1.0-1-amd64.btf.tar.xz", "6.1.0-1-amd64.btf", string(whole))
	put(t, archive, "ubuntu/20.04/x86_64/5.4.0-1.btf.tar.xz", "README", "text", "5.4.0-1.btf", string(whole))
	put(t, archive, "ubuntu/20.04/arm64/5.4.0-2.btf.tar.xz", "5.4.0-2.btf", string(whole))
	layer, err := Make(t.Context(), archive, "amd64", object(t))
	if err != nil {
		t.Fatal(err)
	}
	types, err := oci.KernelTypes(layer, oci.Kernel{ID: "ubuntu", VersionID: "20.04", Arch: "x86_64", Release: "5.4.0-1"})
	if err != nil {
		t.Fatal(err)
	}
	spec, err := btf.LoadSpecFromReader(bytes.NewReader(types))
	if err != nil {
		t.Fatal(err)
	}
	var task *btf.Struct
	if err := spec.TypeByName("task_struct", &task); err != nil || len(task.Members) == 0 || len(task.Members) > 40 || len(types) > len(whole)/50 {
		t.Errorf("%d of %d bytes are left, and %d fields of a task: %v", len(types), len(whole), len(task.Members), err)
	}
	_, err = oci.KernelTypes(layer, oci.Kernel{ID: "ubuntu", VersionID: "20.04", Arch: "x86_64", Release: "5.4.0-2"})
	if err == nil || !strings.Contains(err.Error(), "they are of 2 kernels") {
		t.Errorf("error %v", err)
	}
	again, err := Make(t.Context(), archive, "amd64", object(t))
	if err != nil || !bytes.Equal(again, layer) {
		t.Errorf("a second time other bytes come out: %v", err)
	}
}

func TestBadArchives(t *testing.T) {
	requireTool(t)
	for want, fill := range map[string]func(archive string){
		": want files ID/VERSION_ID/x86_64/RELEASE.btf.tar.xz":              func(string) {},
		"a/1/x86_64/r.btf.tar.xz: it has no file whose name ends with .btf": func(a string) { put(t, a, "a/1/x86_64/r.btf.tar.xz", "x", "") },
		"a/1/x86_64/r.btf.tar.xz: bpftool gen min_core_btf: exit status":    func(a string) { put(t, a, "a/1/x86_64/r.btf.tar.xz", "r.btf", "junk") },
		"a/1/x86_64/\\x1b.btf.tar.xz: xz: ":                                 func(a string) { write(t, a+"/a/1/x86_64/\x1b.btf.tar.xz", []byte("junk, and more junk than a header")) },
	} {
		archive := t.TempDir()
		fill(archive)
		temp := t.TempDir()
		t.Setenv("TMPDIR", temp)
		if _, err := Make(t.Context(), archive, "amd64", object(t)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Errorf("%v is left: %v", left, err)
		}
	}
}
