// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"
	"slices"
)

// addPreference notes that of two programs for the same events the second runs only where the
// kernel cannot run the first.
func (img *Image) addPreference(first, second string) error {
	if err := errors.Join(img.mustHaveProgram(first), img.mustHaveProgram(second)); err != nil {
		return err
	}
	if img.standsInFor(first, second, make(map[string]bool)) {
		return fmt.Errorf("program %s would stand in for itself", second)
	}
	p := img.Program(second)
	p.StandsInFor = append(p.StandsInFor, first)
	return nil
}

// standsInFor reports whether a program is another or may run in its place. It skips the programs
// that it has seen.
func (img *Image) standsInFor(name, other string, seen map[string]bool) bool {
	if name == other {
		return true
	}
	if seen[name] {
		return false
	}
	seen[name] = true
	return slices.ContainsFunc(img.Program(name).StandsInFor, func(name string) bool {
		return img.standsInFor(name, other, seen)
	})
}
