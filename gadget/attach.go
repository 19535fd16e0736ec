// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// attach hangs a loaded program on its hook.
func attach(p *Program, prog *ebpf.Program) (link.Link, error) {
	switch p.hook {
	case hookTracepoint:
		category, name, _ := strings.Cut(p.Target, "/")
		return link.Tracepoint(category, name, prog, nil)
	case hookRawTracepoint:
		return link.AttachRawTracepoint(link.RawTracepointOptions{Name: p.Target, Program: prog})
	case hookBTFTracepoint:
		return link.AttachTracing(link.TracingOptions{Program: prog})
	}
	return nil, fmt.Errorf("section %q: %w", p.Section, ErrNotYetSupported)
}
