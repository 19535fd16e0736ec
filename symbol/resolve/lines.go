// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"errors"
	"fmt"
	"time"

	"github.com/gizmo-ebpf/gizmo/symbol"
	"github.com/gizmo-ebpf/gizmo/symbol/names"
)

// LinesFound says how much Lines has found.
type LinesFound struct {
	// Files is how many files the places are in, and With how many of these have lines.
	Files, With int
	// Errors say what keeps lines from being complete, one for each file at most. That a file has no debug information is no error.
	Errors []error
}

// errManyLines says why places of a file have no lines.
var errManyLines = errors.New("there are more lines than gizmo keeps")

// Lines finds the lines of source at places, and adds them to those that are known. It takes long: call it when the run has ended, and before
// Close. What is not found by the deadline stays unknown; files with many places come first.
func (r *Resolver) Lines(places *symbol.Places, known *symbol.Lines, deadline time.Time) (found LinesFound) {
	files := r.filesByModule()
	for module, addresses := range places.All() {
		f := files[module]
		if f == nil {
			continue // code that is in no file, or a file that could not be read
		}
		found.Files++
		any, full := false, false
		err := f.Lines(addresses, deadline, func(address uint64, lines []symbol.Line) {
			added := known.Add(module, address, lines)
			any, full = any || added, full || !added
		})
		if any {
			found.With++
		}
		if full && err == nil {
			err = fmt.Errorf("%s: %w", module.Name, errManyLines)
		}
		if err != nil && !errors.Is(err, names.ErrNoLines) {
			found.Errors = append(found.Errors, err)
		}
	}
	return found
}

// filesByModule returns the files that can be read.
func (r *Resolver) filesByModule() map[*symbol.Module]*names.File {
	r.mu.Lock()
	defer r.mu.Unlock()
	files := make(map[*symbol.Module]*names.File)
	for _, f := range r.known {
		if f.elf != nil {
			files[f.module] = f.elf
		}
	}
	return files
}
