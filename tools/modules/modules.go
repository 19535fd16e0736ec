// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package modules lists the Go modules that a program consists of, and their licenses. It uses no
// network: after a build all modules are in the module cache.
package modules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// Module is a Go module. Dir is where its files are, Main whether it is not a dependency.
type Module struct {
	Path, Version, Dir string
	Main               bool
	Replace            *Module
}

// Compiled returns the modules that the packages in a folder, their tests and the folder's tools are
// compiled from, except main modules, sorted by path.
func Compiled(dir string) ([]Module, error) {
	patterns := []string{"./..."}
	tools, err := goList[struct{ ImportPath string }](dir, "tool") // warns if there are none
	if err != nil {
		return nil, err
	}
	if len(tools) > 0 {
		patterns = append(patterns, "tool")
	}
	type pkg struct{ Module *Module }
	packages, err := goList[pkg](dir, append([]string{"-deps", "-test"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	byPath := make(map[string]Module)
	for _, p := range packages {
		if m := p.Module; m != nil && !m.Main {
			byPath[m.Path] = m.effective()
		}
	}
	var all []Module
	for _, m := range byPath {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Module) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

// Named returns the named ones of the modules that the folder's module depends on.
func Named(dir string, paths ...string) (map[string]Module, error) {
	byPath := make(map[string]Module)
	if len(paths) == 0 {
		return byPath, nil
	}
	list, err := goList[Module](dir, append([]string{"-m"}, paths...)...)
	for _, m := range list {
		byPath[m.Path] = m.effective()
	}
	return byPath, err
}

// GoRoot returns the folder of the Go distribution.
func GoRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// effective returns the module with the version and the folder of its replacement.
func (m *Module) effective() Module {
	e := Module{Path: m.Path, Version: m.Version, Dir: m.Dir, Main: m.Main}
	if m.Replace != nil {
		e.Version, e.Dir = m.Replace.Version, m.Replace.Dir
	}
	return e
}

// goList runs "go list -json" and returns the values that it prints.
func goList[T any](dir string, args ...string) ([]T, error) {
	cmd := exec.Command("go", append([]string{"list", "-json"}, args...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w: %s", strings.Join(args, " "), err, stderr.Bytes())
	}
	var all []T
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var v T
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list %s: %w", strings.Join(args, " "), err)
		}
		all = append(all, v)
	}
}
