// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// arch is an architecture that gadgets can be built for.
type arch struct {
	name   string // as Go calls it
	macro  string // the macro that libbpf's bpf_tracing.h expects
	triple string // as Debian names the folder of the C library's headers
}

var arches = [...]arch{
	{"amd64", "__TARGET_ARCH_x86", "x86_64-linux-gnu"},
	{"arm64", "__TARGET_ARCH_arm64", "aarch64-linux-gnu"},
}

// Arches returns the values that Options.Arch may have.
func Arches() []string {
	var names []string
	for _, a := range arches {
		names = append(names, a.name)
	}
	return names
}

func lookupArch(name string) (arch, error) {
	if name == "" {
		name = runtime.GOARCH
	}
	for _, a := range arches {
		if a.name == name {
			return a, nil
		}
	}
	return arch{}, fmt.Errorf("gadgets cannot be built for the architecture %q: use one of %s",
		name, strings.Join(Arches(), ", "))
}

// systemDirs are the folders with headers that clang does not look into for the BPF target by
// itself: on Debian, <linux/types.h> includes <asm/types.h> from there. If those of the architecture are
// not installed, another's have to do: they differ in nothing that a program for the kernel needs.
func (a arch) systemDirs() []string {
	for _, other := range append([]arch{a}, arches[:]...) {
		dir := "/usr/include/" + other.triple
		if _, err := os.Stat(dir); err == nil {
			return []string{dir}
		}
	}
	return nil
}
