// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// The limits of sizes, so that a reader can keep an overview.
const (
	maxFiles         = 20   // Go files of a package, without tests and generated files
	maxLines         = 4000 // of these files
	maxFunctionLines = 60   // from "func" to the closing brace
)

// Source are the Go files of a folder and those below it that people write and that are no tests.
type Source struct {
	fset  *token.FileSet
	files map[string]*ast.File // by path
	lines map[string]int
}

// ReadSource parses the Go files in a folder. It skips the folders that the go command skips.
func ReadSource(root fs.FS) (*Source, error) {
	s := &Source{fset: token.NewFileSet(), files: make(map[string]*ast.File), lines: make(map[string]int)}
	return s, fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (ignored(d.Name()) || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(s.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if !ast.IsGenerated(file) {
			s.files[name] = file
			s.lines[name] = strings.Count(string(text), "\n")
		}
		return nil
	})
}

// ignored reports whether a folder has no source of gizmo.
func ignored(name string) bool {
	return name != "." && (name[0] == '.' || name[0] == '_') || name == "bin" || name == "dist"
}

// CheckSizes returns a sentence for each package that is too large. Those in large may be; it is
// wrong if they no longer are.
func (s *Source) CheckSizes(large []string) []string {
	files, lines := make(map[string]int), make(map[string]int)
	for name, n := range s.lines {
		files[path.Dir(name)]++
		lines[path.Dir(name)] += n
	}
	var wrong []string
	for dir := range files {
		tooLarge, listed := files[dir] > maxFiles || lines[dir] > maxLines, slices.Contains(large, dir)
		if tooLarge && !listed {
			wrong = append(wrong, fmt.Sprintf("%s has %d files with %d lines, more than %d files or %d lines: divide it by its jobs",
				dir, files[dir], lines[dir], maxFiles, maxLines))
		}
	}
	for _, dir := range large {
		if files[dir] <= maxFiles && lines[dir] <= maxLines {
			wrong = append(wrong, fmt.Sprintf("%s is not too large any more: remove it from the list in internal/archtest/floors.go", dir))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// CheckFunctions returns a sentence for each function that does not fit a screen.
func (s *Source) CheckFunctions() []string {
	var wrong []string
	for _, file := range s.files {
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			start, end := s.fset.Position(f.Pos()), s.fset.Position(f.End())
			if n := end.Line - start.Line + 1; n > maxFunctionLines {
				wrong = append(wrong, fmt.Sprintf("%s:%d: %s has %d lines, more than %d: divide it",
					start.Filename, start.Line, f.Name.Name, n, maxFunctionLines))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// CheckDocs returns a sentence for each exported name without a comment.
func (s *Source) CheckDocs() []string {
	var wrong []string
	bare := func(id *ast.Ident, comments ...*ast.CommentGroup) {
		if !id.IsExported() || slices.ContainsFunc(comments, func(c *ast.CommentGroup) bool { return c.Text() != "" }) {
			return
		}
		at := s.fset.Position(id.Pos())
		wrong = append(wrong, fmt.Sprintf("%s:%d: %s is exported: say in a comment what it is", at.Filename, at.Line, id.Name))
	}
	for _, file := range s.files {
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if exportedReceiver(decl) {
					bare(decl.Name, decl.Doc)
				}
			case *ast.GenDecl:
				checkSpecs(decl, bare)
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// checkSpecs passes on the names that a declaration makes, with the comments that count for each.
func checkSpecs(decl *ast.GenDecl, bare func(*ast.Ident, ...*ast.CommentGroup)) {
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			bare(spec.Name, decl.Doc, spec.Doc)
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				bare(name, decl.Doc, spec.Doc, spec.Comment)
			}
		}
	}
}

// exportedReceiver reports whether a function with an exported name is visible outside of its package.
func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	t := f.Recv.List[0].Type
	for {
		switch inner := t.(type) {
		case *ast.StarExpr:
			t = inner.X
		case *ast.IndexExpr:
			t = inner.X
		case *ast.IndexListExpr:
			t = inner.X
		case *ast.Ident:
			return inner.IsExported()
		default:
			return true
		}
	}
}
