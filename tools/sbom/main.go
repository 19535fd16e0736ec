// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command sbom writes the list of the parts of a gizmo binary, as CycloneDX 1.6 in JSON: the Go modules, which the
// binary itself names, and the objects for the kernel that it embeds. The same input gives the same
// bytes.
package main

import (
	"debug/buildinfo"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "sbom: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var in input
	fs := flag.NewFlagSet("sbom", flag.ContinueOnError)
	fs.StringVar(&in.binary, "binary", "", "the `file` to describe")
	fs.StringVar(&in.objects, "objects", "", "`NAME=FOLDER,...`: the folders with the objects that it embeds")
	fs.StringVar(&in.source, "source", "..", "the `folder` of the module")
	fs.StringVar(&in.version, "version", "", "gizmo's version")
	fs.StringVar(&in.compiler, "compiler", "", "what compiled the objects: the first `line` of clang --version")
	fs.StringVar(&in.libbpf, "libbpf", "", "the `version` of the libbpf headers, if it is known")
	epoch := fs.Int64("time", 0, "the time of the source, in `seconds` since 1970")
	out := fs.String("o", "", "the `file` to write")
	texts := fs.String("texts", "", "a `file` for the licenses of the modules, as they must go with the binary")
	if err := fs.Parse(args); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"-binary": in.binary, "-objects": in.objects, "-version": in.version, "-compiler": in.compiler, "-o": *out,
	} {
		if value == "" {
			return fmt.Errorf("%s is missing", name)
		}
	}
	in.time = time.Unix(*epoch, 0).UTC()
	info, err := buildinfo.ReadFile(in.binary)
	if err != nil {
		return err
	}
	list, err := in.list(info)
	if err != nil {
		return err
	}
	bom, err := in.describe(info, list)
	if err != nil {
		return err
	}
	if *texts != "" {
		if err := writeTexts(*texts, list); err != nil {
			return err
		}
	}
	return write(*out, bom)
}

func write(name string, bom *cdx.BOM) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	err = cdx.NewBOMEncoder(f, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// input is the input for a description.
type input struct {
	binary, objects, source, version, compiler, libbpf string

	time time.Time
}

func (in *input) describe(info *buildinfo.BuildInfo, list []module) (*cdx.BOM, error) {
	goos, arch := setting(info, "GOOS"), setting(info, "GOARCH")
	hash, err := fileHash(in.binary)
	if err != nil {
		return nil, err
	}
	app := cdx.Component{
		BOMRef: "gizmo", Type: cdx.ComponentTypeApplication, Name: "gizmo", Version: in.version,
		Hashes: hash, Licenses: licensed("Apache-2.0"),
		PackageURL: purl(info.Main.Path, in.version) + "?goarch=" + arch + "&goos=" + goos,
		Properties: &[]cdx.Property{{Name: "gizmo:go", Value: info.GoVersion}},
	}
	parts, err := describeModules(list)
	if err != nil {
		return nil, err
	}
	objects, err := in.kernelObjects()
	if err != nil {
		return nil, err
	}
	parts = append(parts, objects...)
	var refs []string
	for _, p := range parts {
		refs = append(refs, p.BOMRef)
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Timestamp: in.time.Format(time.RFC3339), Component: &app, Tools: &cdx.ToolsChoice{
		Components: &[]cdx.Component{
			{Type: cdx.ComponentTypeApplication, Name: "go", Version: info.GoVersion},
			{Type: cdx.ComponentTypeApplication, Name: "clang", Version: in.compiler},
		},
	}}
	bom.Components = &parts
	bom.Dependencies = &[]cdx.Dependency{{Ref: app.BOMRef, Dependencies: &refs}}
	return bom, nil
}

// kernelObjects describes the objects for the kernel, and the headers in them that are not ours.
func (in *input) kernelObjects() ([]cdx.Component, error) {
	var parts []cdx.Component
	for pair := range strings.SplitSeq(in.objects, ",") {
		name, folder, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("-objects: %q: want NAME=FOLDER", pair)
		}
		some, err := in.objectsIn(name, folder)
		if err != nil {
			return nil, err
		}
		parts = append(parts, some...)
	}
	if in.libbpf != "" {
		parts = append(parts, cdx.Component{
			BOMRef: "libbpf", Type: cdx.ComponentTypeLibrary, Name: "libbpf", Version: in.libbpf,
			Description: "headers, compiled into the objects for the kernel",
			Licenses:    &cdx.Licenses{{Expression: "LGPL-2.1-only OR BSD-2-Clause"}},
		})
	}
	return parts, nil
}

// objectsIn describes the objects of a folder.
func (in *input) objectsIn(name, folder string) ([]cdx.Component, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*", "program.o"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there are no objects in %s", folder)
	}
	var parts []cdx.Component
	for _, file := range files {
		hash, err := fileHash(file)
		if err != nil {
			return nil, err
		}
		name := name + "/" + filepath.Base(filepath.Dir(file)) + "/program.o"
		parts = append(parts, cdx.Component{
			BOMRef: name, Type: cdx.ComponentTypeFile, Name: name, Version: in.version, Hashes: hash,
			Licenses:   &cdx.Licenses{{Expression: "GPL-2.0-only OR Apache-2.0"}},
			Properties: &[]cdx.Property{{Name: "gizmo:compiler", Value: in.compiler}},
		})
	}
	return parts, nil
}
