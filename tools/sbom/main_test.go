// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// describe writes the description of gizmo, without its gadgets but with the given objects.
func describe(t *testing.T, objects map[string]string) (file, texts, binary string) {
	t.Helper()
	dir := t.TempDir()
	binary = filepath.Join(dir, "gizmo")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", binary, "./cmd/gizmo")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, text := range objects {
		name = filepath.Join(dir, "objects", name, "program.o")
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, texts = filepath.Join(dir, "sbom.json"), filepath.Join(dir, "texts")
	err := run([]string{
		"-binary", binary, "-objects", "gadgets=" + filepath.Join(dir, "objects"), "-source", "../..", "-version", "v1.2.3",
		"-compiler", "clang version 19", "-libbpf", "1.5", "-time", "1700000000", "-o", file, "-texts", texts,
	})
	if err != nil {
		t.Fatal(err)
	}
	return file, texts, binary
}

func TestDescription(t *testing.T) {
	t.Parallel()
	file, texts, binary := describe(t, map[string]string{"one": "1", "two": "2"})
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if got := bom.Metadata.Timestamp; got != "2023-11-14T22:13:20Z" {
		t.Errorf("the time is %s", got)
	}
	hash, err := fileHash(binary)
	if err != nil {
		t.Fatal(err)
	}
	if app := bom.Metadata.Component; app.Version != "v1.2.3" || (*app.Hashes)[0] != (*hash)[0] {
		t.Errorf("the program is %+v", app)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"std " + info.GoVersion, "gadgets/one/program.o v1.2.3", "gadgets/two/program.o v1.2.3", "libbpf 1.5"}
	for _, d := range info.Deps {
		want = append(want, d.Path+" "+d.Version)
	}
	var got []string
	for _, c := range *bom.Components {
		got = append(got, c.Name+" "+c.Version)
		if c.Licenses == nil || len(*c.Licenses) == 0 {
			t.Errorf("%s has no license", c.Name)
		}
		if c.Name == "gadgets/one/program.o" && (*c.Hashes)[0].Value != "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b" {
			t.Errorf("%s: hash %v", c.Name, *c.Hashes)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	license, err := os.ReadFile(texts)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"github.com/cilium/ebpf", "Permission is hereby granted", "std go1.", "Redistributions in binary form"} {
		if !strings.Contains(string(license), part) {
			t.Errorf("%q is not among the licenses", part)
		}
	}
}

func TestMissingArguments(t *testing.T) {
	t.Parallel()
	if err := run([]string{"-binary", "x", "-objects", "x", "-version", "x", "-compiler", "x"}); err == nil || !strings.Contains(err.Error(), "-o is missing") {
		t.Errorf("got %v", err)
	}
}

func TestNoObjects(t *testing.T) {
	t.Parallel()
	in := input{objects: "gadgets=" + t.TempDir()}
	if _, err := in.kernelObjects(); err == nil || !strings.Contains(err.Error(), "there are no objects") {
		t.Errorf("got %v", err)
	}
}

// An SBOM with the licenses of this go.mod must not describe a binary that was built from another go.mod.
func TestOtherVersions(t *testing.T) {
	t.Parallel()
	_, _, binary := describe(t, map[string]string{"one": "1"})
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	info.Deps[0].Version = "v0.0.1"
	in := input{source: "../.."}
	if _, err := in.list(info); err == nil || !strings.Contains(err.Error(), "v0.0.1, but go.mod names") {
		t.Errorf("got %v", err)
	}
}
