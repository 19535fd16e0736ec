// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// Pos is a place in a file. Both numbers count from 1, columns in characters; 0 means unknown.
type Pos struct{ Line, Column int }

// Problem is an error in a gadget.yaml and its place.
type Problem struct {
	// File is the name that was given to Parse; empty for metadata that was not read from a file.
	File string
	Pos  Pos
	// Err is the error without the place.
	Err error
}

// Error starts with the place: "gadget.yaml:12:5: ".
func (p *Problem) Error() string {
	switch {
	case p.File == "":
		return p.Err.Error()
	case p.Pos.Line == 0:
		return fmt.Sprintf("%s: %v", p.File, p.Err)
	}
	return fmt.Sprintf("%s:%d:%d: %v", p.File, p.Pos.Line, p.Pos.Column, p.Err)
}

// Unwrap returns the error without the place.
func (p *Problem) Unwrap() error { return p.Err }

// Unknown reports whether the problem is a name that does not exist. Files that were made for
// another version may have such names; leaving them out, as Parse does, makes sense.
func (p *Problem) Unknown() bool {
	var unknown *annotation.UnknownError
	return errors.As(p.Err, &unknown)
}

// Problems returns the problems that err, which Parse or Validate returned, is made of.
func Problems(err error) []*Problem {
	switch e := err.(type) {
	case *Problem:
		return []*Problem{e}
	case interface{ Unwrap() error }:
		return Problems(e.Unwrap())
	case interface{ Unwrap() []error }:
		var list []*Problem
		for _, part := range e.Unwrap() {
			list = append(list, Problems(part)...)
		}
		return list
	}
	return nil
}

func comparePlaces(a, b *Problem) int {
	return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
}

// join joins the problems to one error, in the order of their places.
func join(problems []*Problem) error {
	slices.SortStableFunc(problems, comparePlaces)
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}

// Position returns the place of the entry at path: Position("datasources", "open", "fields",
// "pid"). For a single value it is the place of the value, otherwise the place of the key. It returns false
// if the file has no such entry.
func (m *Metadata) Position(path ...string) (Pos, bool) {
	pos, ok := m.positions[joinPath(path)]
	return pos, ok
}

// Locate adds to err the place of the entry at path, or of the nearest mapping around it.
func (m *Metadata) Locate(err error, path ...string) error { return m.problem(err, path) }

func (m *Metadata) problem(err error, path []string) *Problem {
	p := &Problem{File: m.file, Err: err}
	for ; len(path) > 0; path = path[:len(path)-1] {
		if pos, ok := m.Position(path...); ok {
			p.Pos = pos
			break
		}
	}
	return p
}

// joinPath makes a key of a path. The separator cannot be part of a key: control characters are
// refused.
func joinPath(path []string) string { return strings.Join(path, "\x00") }
