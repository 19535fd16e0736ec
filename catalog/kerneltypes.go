// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/internal/uname"
	"github.com/gizmo-ebpf/gizmo/oci"
)

// ownTypes is where a kernel shows its types, if it has any.
const ownTypes = "/sys/kernel/btf/vmlinux"

// typesIn returns what finds the types of this kernel in a layer of an image; nil if there is no such layer or if the kernel has its own.
func typesIn(layer []byte) func() (*btf.Spec, error) {
	if layer == nil {
		return nil
	}
	if _, err := os.Stat(ownTypes); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return func() (*btf.Spec, error) {
		k, err := thisKernel()
		if err != nil {
			return nil, err
		}
		data, err := oci.KernelTypes(layer, k)
		if err != nil {
			return nil, err
		}
		return btf.LoadSpecFromReader(bytes.NewReader(data))
	}
}

// thisKernel identifies the running kernel.
func thisKernel() (k oci.Kernel, err error) {
	k.Release, k.Arch = uname.Release(), uname.Machine()
	if k.Arch == "aarch64" {
		k.Arch = "arm64" // as these archives name it
	}
	text, err := os.ReadFile("/etc/os-release")
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil // the release may suffice
	}
	k.ID, k.VersionID = valueOf(text, "ID"), valueOf(text, "VERSION_ID")
	return k, err
}

// valueOf returns the value of a variable in the text of os-release.
func valueOf(text []byte, name string) string {
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return strings.Trim(value, `"'`)
		}
	}
	return ""
}
