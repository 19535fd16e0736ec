// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/gizmo-ebpf/gizmo/tools/modules"
)

// std is the name of the standard library, which is no module but has a version and a license, too.
const std = "std"

// module is a module in the binary, or the standard library. The sum is that of go.sum.
type module struct{ path, version, sum, dir string }

// list returns the modules that the binary names, with their folders on this machine.
func (in *input) list(info *buildinfo.BuildInfo) ([]module, error) {
	root, err := modules.GoRoot()
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, d := range info.Deps {
		paths = append(paths, d.Path)
	}
	known, err := modules.Named(in.source, paths...)
	if err != nil {
		return nil, err
	}
	list := []module{{path: std, version: info.GoVersion, dir: root}}
	for _, d := range info.Deps {
		m, used := known[d.Path], d
		if d.Replace != nil {
			used = d.Replace
		}
		if m.Version != used.Version {
			return nil, fmt.Errorf("the binary has %s %s, but go.mod names %q: build it again", d.Path, used.Version, m.Version)
		}
		list = append(list, module{used.Path, used.Version, used.Sum, m.Dir})
	}
	return list, nil
}

func describeModules(list []module) ([]cdx.Component, error) {
	var parts []cdx.Component
	for _, m := range list {
		ids, err := modules.Licenses(m.dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.path, err)
		}
		part := cdx.Component{
			BOMRef: purl(m.path, m.version), Type: cdx.ComponentTypeLibrary, Name: m.path, Version: m.version,
			PackageURL: purl(m.path, m.version), Licenses: licensed(ids...),
		}
		if m.sum != "" {
			part.Properties = &[]cdx.Property{{Name: "gizmo:go.sum", Value: m.sum}}
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// writeTexts writes the licenses of all modules into one file.
func writeTexts(name string, list []module) error {
	var b strings.Builder
	b.WriteString("The program gizmo contains parts of the following. Each comes with its license.\n")
	for _, m := range list {
		files, err := modules.LicenseFiles(m.dir)
		if err != nil {
			return fmt.Errorf("%s: %w", m.path, err)
		}
		for _, f := range files {
			fmt.Fprintf(&b, "\n%s\n%s %s: %s\n%[1]s\n\n%[5]s\n", strings.Repeat("=", 72), m.path, m.version, f.Name, strings.TrimSpace(f.Text))
		}
	}
	return os.WriteFile(name, []byte(b.String()), 0o644)
}
