// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package archtest checks rules about gizmo's code that other tools do not check. Its tests are
// a part of "make lint": imports go down only, some packages must not import others, packages and
// functions are small, exported names have comments, and files name their licenses. [Gizmo] is the table of floors.
//
// A package may import packages on lower floors, and its own parts. Tests may also import packages
// on their own floor, but not on a higher one.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// Rules say which package may import which. Packages are named by their paths within the module.
type Rules struct {
	Module string
	// Floors gives each package its floor. It applies to the packages in its folder, too.
	Floors map[string]int
	// Families are packages whose children are apart from each other.
	Families []string
	// StandardOnly are packages that import only the standard library.
	StandardOnly []string
	// Sideways lists the allowed imports on one floor: the importer and the packages that it imports.
	Sideways map[string][]string
	// Pure are packages that all packages may import, whatever package they are below: they only compute.
	Pure []string
	// Forbidden lists the packages, with their subpackages, that a package must not import, neither directly nor through
	// other packages of the module. Tests may.
	Forbidden map[string][]string
}

// Package is the output of "go list" about a package.
type Package struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

// List returns all packages of the module in the folder dir, and below it.
func List(dir string) ([]Package, error) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, stderr.Bytes())
	}
	var all []Package
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
}

// Check returns a sentence for each import that breaks the rules, and for each package that they
// do not know.
func (r *Rules) Check(packages []Package) []string {
	var wrong []string
	for _, p := range packages {
		from := r.within(p.ImportPath)
		if _, ok := r.part(from); !ok {
			wrong = append(wrong, fmt.Sprintf("%s has no floor: give it one in internal/archtest/floors.go "+
				"and in docs/ARCHITECTURE.md, below all that is to import it", from))
			continue
		}
		for _, path := range p.Imports {
			wrong = r.checkImport(wrong, from, path, false)
		}
		for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
			wrong = r.checkImport(wrong, from, path, true)
		}
	}
	for path, imports := range r.Forbidden {
		wrong = r.checkForbidden(wrong, packages, path, imports)
	}
	slices.Sort(wrong)
	return slices.Compact(wrong)
}

// checkForbidden appends to wrong the forbidden imports of a package, and of those of the module that it
// imports, with the way that leads there.
func (r *Rules) checkForbidden(wrong []string, packages []Package, from string, forbidden []string) []string {
	imports := make(map[string][]string, len(packages))
	for _, p := range packages {
		imports[p.ImportPath] = p.Imports
	}
	start := r.Module + "/" + from
	via := map[string]string{start: ""} // how the packages seen are reached, the shortest way first
	for next := []string{start}; len(next) > 0; next = next[1:] {
		for _, path := range imports[next[0]] {
			name := path
			if own := r.within(path); own != "" {
				name = own
			}
			if slices.Contains(r.Pure, name) {
				continue
			}
			if slices.ContainsFunc(forbidden, func(f string) bool { return name == f || strings.HasPrefix(name, f+"/") }) {
				if _, told := via[path]; !told {
					wrong = append(wrong, fmt.Sprintf("%s must not import %s%s", from, name, via[next[0]]))
				}
				via[path] = ""
				continue
			}
			if _, seen := via[path]; !seen && name != path {
				via[path] = via[next[0]] + ", nor through " + name
				next = append(next, path)
			}
		}
	}
	return wrong
}

// checkImport appends to wrong if the package from must not import the given path.
func (r *Rules) checkImport(wrong []string, from, path string, test bool) []string {
	part, _ := r.part(from)
	to := r.within(path)
	if to == "" {
		if strings.Contains(strings.Split(path, "/")[0], ".") && !test && slices.Contains(r.StandardOnly, part) {
			return append(wrong, fmt.Sprintf("%s imports %s, but may only import the standard library", from, path))
		}
		return wrong
	}
	toPart, ok := r.part(to)
	if !ok || toPart == part { // an unknown package is reported elsewhere
		return wrong
	}
	mine, theirs := r.floor(part), r.floor(toPart)
	switch {
	case theirs > mine:
		return append(wrong, fmt.Sprintf("%s (floor %d) imports %s (floor %d): imports go down only", from, mine, to, theirs))
	case theirs == mine && !test && !slices.Contains(r.Sideways[part], toPart):
		return append(wrong, fmt.Sprintf("%s imports %s, both on floor %d: imports go down only", from, to, mine))
	}
	return wrong
}

// within returns a package's path within the module: "" if it is not of the module, "." for the
// module's root.
func (r *Rules) within(path string) string {
	if path == r.Module {
		return "."
	}
	path = strings.TrimSuffix(path, "_test") // as go list names some packages of tests
	if rest, ok := strings.CutPrefix(path, r.Module+"/"); ok {
		return rest
	}
	return ""
}

// part returns the part of the house that a package belongs to: a package with a floor, or a
// child of a family.
func (r *Rules) part(path string) (string, bool) {
	for above, rest := path, ""; ; {
		if _, ok := r.Floors[above]; ok {
			if slices.Contains(r.Families, above) && rest != "" {
				child, _, _ := strings.Cut(rest, "/")
				return above + "/" + child, true
			}
			return above, true
		}
		i := strings.LastIndexByte(above, '/')
		if i < 0 {
			return "", false
		}
		above, rest = path[:i], path[i+1:]
	}
}

// floor returns the floor of a part.
func (r *Rules) floor(part string) int {
	for {
		if f, ok := r.Floors[part]; ok {
			return f
		}
		part = part[:strings.LastIndexByte(part, '/')]
	}
}
