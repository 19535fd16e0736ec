// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// dependencies is the file in a kernel's folder of modules that says which needs which.
const dependencies = "modules.dep"

// neededModules are the modules that the guest needs before it sees the host's files. A kernel that has one
// built in has no module of that name.
var neededModules = []string{"virtio_pci", "9pnet_virtio", "9p", "overlay", "fuse"}

// loadOrder returns the files of the modules and of all that they need, in the order in which to
// load them. deps is the text of modules.dep: a line "FILE: FILE…" for each, what it needs last
// comes first.
func loadOrder(deps string, names []string) []string {
	var files []string
	for _, name := range names {
		for line := range strings.Lines(deps) {
			file, needs, ok := strings.Cut(strings.TrimSpace(line), ":")
			if !ok || moduleName(file) != name {
				continue
			}
			list := strings.Fields(needs)
			slices.Reverse(list)
			for _, f := range append(list, file) {
				if !slices.Contains(files, f) {
					files = append(files, f)
				}
			}
		}
	}
	return files
}

// moduleName is a module's name by its file: kernel/net/9p/9pnet-virtio.ko.xz is 9pnet_virtio.
func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// module is a module to load, ready for the kernel.
type module struct {
	name string
	data []byte
}

// modulesFor reads the modules that the guest needs of this kernel.
func modulesFor(ctx context.Context, k *kernel) ([]module, error) {
	if k.modules == "" {
		return nil, nil
	}
	deps, err := os.ReadFile(filepath.Join(k.modules, dependencies))
	if err != nil {
		return nil, err
	}
	var list []module
	for _, file := range loadOrder(string(deps), neededModules) {
		data, err := readModule(ctx, filepath.Join(k.modules, file))
		if err != nil {
			return nil, err
		}
		list = append(list, module{moduleName(file), data})
	}
	return list, nil
}

// readModule reads a module, which may be compressed.
func readModule(ctx context.Context, file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	switch filepath.Ext(file) {
	case ".gz":
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return io.ReadAll(r)
	case ".xz":
		return unpack(ctx, "xz", data)
	case ".zst":
		return unpack(ctx, "zstd", data)
	}
	return data, nil
}

func unpack(ctx context.Context, program string, data []byte) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, "-dc")
	cmd.Stdin = bytes.NewReader(data)
	text, err := output(cmd)
	return []byte(text), err
}
