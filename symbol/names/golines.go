// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/gofuncs"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// goLines finds the lines in the table of Go's runtime, which Go programs without debug information have. Package debug/gosym does not read from
// it which calls were inlined, so each address has one line: that of the innermost call.
func (f *File) goLines(addrs []uint64, deadline time.Time, found func(addr uint64, lines []symbol.Line)) (err error) {
	g, err := gofuncs.Open(f.elf)
	if err != nil {
		return err
	}
	if g == nil {
		return ErrNoLines
	}
	table, err := g.Lines()
	if err != nil {
		return err
	}
	defer recoverDWARF(&err)
	for _, addr := range addrs {
		if time.Now().After(deadline) {
			return ErrSlow
		}
		if file, line, fn := table.PCToLine(addr); fn != nil && line > 0 {
			found(addr, []symbol.Line{{Function: f.Lookup(addr), File: file, Line: line}})
		}
	}
	return nil
}
