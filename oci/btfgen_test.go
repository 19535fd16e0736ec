// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"
)

// layerOf packs files as a layer.
func layerOf(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The types of a kernel are found in both shapes of the archive.
func TestKernelTypes(t *testing.T) {
	t.Parallel()
	k := Kernel{ID: "ubuntu", VersionID: "20.04", Arch: "x86_64", Release: "5.4.0-42-generic"}
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
		err   string
	}{
		"by distribution": {map[string]string{"ubuntu/20.04/x86_64/5.4.0-42-generic.btf": "types", "ubuntu/20.04/arm64/5.4.0-42-generic.btf": "other"}, "types", ""},
		"with a dot":      {map[string]string{"./ubuntu/20.04/x86_64/5.4.0-42-generic.btf": "types"}, "types", ""},
		"flat":            {map[string]string{"./5.4.0-42-generic.btf": "types", "./5.4.0-43-generic.btf": "other"}, "types", ""},
		"another":         {map[string]string{"5.4.0-43-generic.btf": "x", "debian/10/x86_64/5.4.0-42-generic.btf": "x"}, "", "they are of 2 kernels, and Linux 5.4.0-42-generic of ubuntu 20.04 (x86_64) is none of them"},
		"empty":           {nil, "", "they are of 0 kernels"},
	} {
		got, err := KernelTypes(layerOf(t, tt.files), k)
		if string(got) != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	for name, layer := range map[string][]byte{"no gzip": []byte("types"), "truncated": layerOf(t, map[string]string{"a.btf": "types"})[:20]} {
		if _, err := KernelTypes(layer, k); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// A few bytes that unpack to very many end early.
func TestBombOfTypes(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "5.4.0.btf", Size: 1 << 40}); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := KernelTypes(b.Bytes(), Kernel{Release: "5.4.0"}); err == nil || !strings.Contains(err.Error(), "gizmo reads at most") {
		t.Errorf("error %v", err)
	}
}
