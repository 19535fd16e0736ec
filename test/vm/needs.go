// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// asksForRoot are functions that check for root. A test that calls one needs the kernel.
var asksForRoot = []string{"RequireRoot", "Geteuid"}

// testsOfTheKernel lists the tests in a package's folder that need the kernel, themselves or by a
// function of the package's tests that they use. Others would find out nothing new on a second
// kernel.
func testsOfTheKernel(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	uses := make(map[string][]string) // by function or variable: the names in it
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			noteUses(d, uses)
		}
	}
	var tests []string
	for name := range uses {
		if strings.HasPrefix(name, "Test") && name != "TestMain" && reaches(name, uses, make(map[string]bool)) {
			tests = append(tests, name)
		}
	}
	slices.Sort(tests)
	return tests, nil
}

// noteUses notes the names that occur in a function, of whatever type, or in the value of a variable.
func noteUses(d ast.Decl, uses map[string][]string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		uses[d.Name.Name] = append(uses[d.Name.Name], namesIn(d)...)
	case *ast.GenDecl:
		for _, s := range d.Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok {
				continue
			}
			for _, name := range v.Names {
				uses[name.Name] = append(uses[name.Name], namesIn(v)...)
			}
		}
	}
}

func namesIn(n ast.Node) []string {
	var names []string
	ast.Inspect(n, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			names = append(names, id.Name)
		}
		return true
	})
	return names
}

// reaches reports whether a function comes to ask for root.
func reaches(name string, uses map[string][]string, seen map[string]bool) bool {
	if seen[name] {
		return false
	}
	seen[name] = true
	return slices.ContainsFunc(uses[name], func(used string) bool {
		return slices.Contains(asksForRoot, used) || reaches(used, uses, seen)
	})
}
