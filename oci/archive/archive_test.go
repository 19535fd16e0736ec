// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/oci/store"
)

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// add adds an image with a signature under cosign's name, and one that refers to it.
func add(t *testing.T, s *store.Store, name string) ocispec.Descriptor {
	t.Helper()
	d, err := s.Add(t.Context(), name, func() (ocispec.Descriptor, error) {
		return oci.Pack(t.Context(), s, map[string]oci.Gadget{"amd64": {Metadata: []byte("name: x\n"), Object: []byte(name)}}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	attach := func(more string) {
		data := fmt.Appendf(nil, `{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"%s","size":2},"layers":[]%s}`,
			ocispec.DescriptorEmptyJSON.Digest, more)
		manifest := content.NewDescriptorFromBytes(ocispec.MediaTypeImageManifest, data)
		for _, part := range []struct {
			d    ocispec.Descriptor
			data []byte
		}{{ocispec.DescriptorEmptyJSON, []byte("{}")}, {manifest, data}} {
			if there, _ := s.Exists(t.Context(), part.d); there {
				continue
			}
			if err := s.Push(t.Context(), part.d, bytes.NewReader(part.data)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Attach(t.Context(), manifest, d); err != nil {
			t.Fatal(err)
		}
	}
	attach(`,"annotations":{"of":"` + name + `"}`)
	attach(fmt.Sprintf(`,"artifactType":"application/x","subject":{"mediaType":%q,"digest":%q,"size":%d}`, d.MediaType, d.Digest, d.Size))
	return d
}

func export(t *testing.T, s *store.Store) []byte {
	t.Helper()
	images, err := s.Images()
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := Export(t.Context(), s, images, &file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func fileOf(t *testing.T, data []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "images.tar")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func keep(name string) (string, error) { return name, nil }

// What was exported is what is imported, with all that belongs to it, and is the same bytes when exported again.
func TestExportAndImport(t *testing.T) {
	t.Parallel()
	from, to := openStore(t), openStore(t)
	images := map[string]ocispec.Descriptor{"r/a:1": add(t, from, "r/a:1"), "r/b:1": add(t, from, "r/b:1")}
	file := export(t, from)
	if !bytes.Equal(file, export(t, from)) {
		t.Error("the second time it is another file")
	}
	name := fileOf(t, file)
	if !IsArchive(name) {
		t.Error("the file is not recognized")
	}
	a, err := Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	names, err := a.Import(t.Context(), to, keep)
	if slices.Sort(names); err != nil || !slices.Equal(names, []string{"r/a:1", "r/b:1"}) {
		t.Fatalf("imported %q, %v", names, err)
	}
	if _, err := to.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range images {
		d, err := to.Resolve(name)
		if err != nil || d.Digest != want.Digest {
			t.Errorf("%s: %v, %v", name, d, err)
			continue
		}
		img, err := oci.Unpack(t.Context(), to, d, "amd64", func(err error) { t.Error(err) })
		if err != nil || string(img.Object) != name {
			t.Errorf("%s: %v, %v", name, img, err)
		}
		if attached, err := to.Attached(d); err != nil || len(attached) != 2 {
			t.Errorf("%s: attached %v, %v", name, attached, err)
		}
	}
	if again := export(t, to); !bytes.Equal(again, file) {
		t.Error("exported from the other store it is another file")
	}
}

// The tar file has nothing of this machine, and is as others expect it.
func TestTar(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	add(t, s, "r/a:1")
	var names []string
	for r := tar.NewReader(bytes.NewReader(export(t, s))); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if h.Typeflag != tar.TypeReg || h.ModTime.Unix() != 0 || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%+v", h)
		}
	}
	blobs := names[:len(names)-2]
	if !slices.IsSorted(blobs) || !strings.HasPrefix(blobs[0], "blobs/sha256/") || !slices.Equal(names[len(blobs):], []string{"index.json", "oci-layout"}) {
		t.Errorf("files %q", names)
	}
}

// That an image was built on this machine is not true of another one.
func TestExportIsNoBuild(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	d := add(t, s, "r/a:1")
	d.Annotations = map[string]string{store.BuiltAnnotation: "true"}
	if err := s.Tag(t.Context(), "r/a:1", d); err != nil {
		t.Fatal(err)
	}
	if file := export(t, s); bytes.Contains(file, []byte(store.BuiltAnnotation)) {
		t.Error("the file says that the image was built here")
	}
	var file bytes.Buffer
	d.Annotations = nil
	if err := Export(t.Context(), s, []store.Image{{Name: "x", Descriptor: d}}, &file); err != nil {
		t.Errorf("without annotations: %v", err)
	}
}

// Folders are read, too; names and times in a tar file do not matter.
func TestFolderAndForeignTar(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	add(t, s, "r/a:1")
	dir := t.TempDir()
	var foreign bytes.Buffer
	w := tar.NewWriter(&foreign)
	put := func(name string, data []byte) {
		if err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o644})); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	put("../../../../tmp/gizmo-escaped", []byte("x"))
	for r := tar.NewReader(bytes.NewReader(export(t, s))); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		data, _ := io.ReadAll(r)
		path := filepath.Join(dir, h.Name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
			t.Fatal(err)
		}
		put("./"+h.Name, data)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dir, fileOf(t, foreign.Bytes())} {
		a, err := Open(t.Context(), name)
		if err != nil || !IsArchive(name) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if names, err := a.Import(t.Context(), openStore(t), keep); err != nil || len(names) != 1 {
			t.Errorf("%s: %q, %v", name, names, err)
		}
	}
	if _, err := os.Stat("/tmp/gizmo-escaped"); err == nil {
		t.Error("a file was written outside")
	}
}

func TestNoArchive(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	add(t, s, "r/a:1")
	file := export(t, s)
	damaged := bytes.Replace(file, []byte("name: x\n"), []byte("name: y\n"), 1)
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"text":      {[]byte("hello"), "is not an OCI layout"},
		"truncated": {file[:len(file)/2], ""},
		"empty":     {nil, "is not an OCI layout"},
		"damaged":   {damaged, "mismatch"},
	} {
		a, err := Open(t.Context(), fileOf(t, tt.data))
		if err == nil {
			_, err = a.Import(t.Context(), openStore(t), keep)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if IsArchive(fileOf(t, []byte("\x7fELF"))) || IsArchive(t.TempDir()) || IsArchive("/nonexistent") {
		t.Error("something else is recognized as an archive")
	}
}
