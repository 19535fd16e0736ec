// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Parse parses a gadget.yaml. Each problem begins with the name. An empty file is valid.
//
// Parse reports all problems together, in the order of their lines; [Problems] splits the error.
// If all of them are about unknown names, it returns the error and the metadata
// without these names. Otherwise the metadata is nil.
func Parse(name string, data []byte) (*Metadata, error) {
	root, broken := readTree(data)
	if broken != nil {
		broken.File = name
		return nil, broken
	}
	m, r := readMetadata(name, root)
	if len(r.problems) == 0 {
		return m, nil
	}
	if slices.ContainsFunc(r.problems, func(p *Problem) bool { return !p.Unknown() }) {
		m = nil
	}
	return m, r.err(name)
}

// readMetadata makes metadata from a tree, which may be nil, and removes from the tree everything that is not
// accepted. The reader has the problems.
func readMetadata(file string, root *yaml.Node) (*Metadata, *reader) {
	m := &Metadata{file: file, positions: make(map[string]Pos)}
	r := &reader{positions: m.positions}
	if root == nil {
		return m, r
	}
	metadataShape().fold(root)
	var c cleaner
	c.clean(root, 1)
	r.problems = c.problems
	metadataShape().read(r, nil, root, m)
	// Validate reports unknown settings: files that were made for another program may have them.
	_, settings := m.readBuiltIns()
	maps.Copy(m.positions, settings.positions)
	for _, p := range settings.problems {
		if !p.Unknown() {
			r.problems = append(r.problems, p)
		}
	}
	return m, r
}

// err joins the problems. If there are very many, it keeps only the first.
func (r *reader) err(file string) error {
	for _, p := range r.problems {
		p.File = file
	}
	err := join(r.problems)
	if more := len(r.problems) - maxProblems; more > 0 {
		// join has sorted them.
		return errors.Join(join(r.problems[:maxProblems]), fmt.Errorf("%s: and %d more problems", file, more))
	}
	return err
}
