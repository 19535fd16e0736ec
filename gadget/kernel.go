// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"os"
	"path/filepath"

	"github.com/cilium/ebpf/btf"
)

// kernel is what one loading learns about the kernel below.
type kernel struct {
	types *btf.Spec
}

func newKernel() (*kernel, error) {
	types, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, explainKernelBTF(err)
	}
	return &kernel{types: types}, nil
}

// traceDirs are the places where tracefs is mounted.
var traceDirs = [...]string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}

// hasTracepoint reports whether there is a tracepoint CATEGORY/NAME. Without tracefs nobody knows,
// and the answer is yes.
func (k *kernel) hasTracepoint(name string) bool {
	for _, dir := range traceDirs {
		events := filepath.Join(dir, "events")
		if _, err := os.Stat(events); err != nil {
			continue
		}
		_, err := os.Stat(filepath.Join(events, name, "id"))
		return err == nil
	}
	return true
}
