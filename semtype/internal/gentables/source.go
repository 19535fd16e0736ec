// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// unixDir asks the go command where the source of golang.org/x/sys/unix is.
func unixDir() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		return "", fmt.Errorf("finding golang.org/x/sys: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "unix"), nil
}

// constant is a name and its number, in the order of the source.
type constant struct {
	name  string
	value uint64
}

// constants returns the integer constants of a file whose names start with prefix, without those
// that are not literals.
func constants(file, prefix string) ([]constant, error) {
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []constant
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if i >= len(spec.Values) || !strings.HasPrefix(name.Name, prefix) {
				continue
			}
			if v, ok := number(spec.Values[i]); ok {
				found = append(found, constant{name.Name, v})
			}
		}
		return false
	})
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: no constants %s…", file, prefix)
	}
	return found, nil
}

// nameTable reads a table of {number, name, description} rows.
func nameTable(file, variable string) ([]constant, error) {
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []constant
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && spec.Names[0].Name == variable && len(spec.Values) == 1 {
			found = tableRows(spec.Values[0])
		}
		return !ok
	})
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: no table %s", file, variable)
	}
	return found, nil
}

func tableRows(e ast.Expr) []constant {
	table, ok := e.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	var rows []constant
	for _, elt := range table.Elts {
		row, ok := elt.(*ast.CompositeLit)
		if !ok || len(row.Elts) < 2 {
			continue
		}
		value, ok := number(row.Elts[0])
		name, quoted := row.Elts[1].(*ast.BasicLit)
		if !ok || !quoted {
			continue
		}
		text, err := strconv.Unquote(name.Value)
		if err == nil {
			rows = append(rows, constant{text, value})
		}
	}
	return rows
}

func number(e ast.Expr) (uint64, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.INT {
		return 0, false
	}
	v, err := strconv.ParseUint(lit.Value, 0, 64)
	return v, err == nil
}
