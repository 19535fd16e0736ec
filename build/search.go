// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// search lists the folders in which the compiler looked for headers.
type search struct {
	// folder is the gadget's folder, and gadget the same as the compiler got it.
	folder, gadget string
	// headers are the folders with gizmo's headers; the others are inside the first.
	headers []string
	// fixed says that the contents of these folders never change.
	fixed bool
}

// roots are the folders in the order of the search.
func (s *search) roots() []string {
	return slices.Concat([]string{s.gadget}, s.headers, []string{"/usr/local/include", "/usr/include"})
}

// ours reports whether a file is one of gizmo's headers.
func (s *search) ours(file string) bool {
	_, ok := below(file, s.headers[0])
	return ok
}

// hiders returns the files that the compiler might have read in place of file, if they had existed.
// The result includes a file that the compiler did read, and that includes this one by #include_next.
func (s *search) hiders(file string) []string {
	roots := s.roots()
	found, name := -1, ""
	for i, root := range roots {
		// Some folders are inside others, and the innermost gives the name that was looked for.
		if rel, ok := below(file, root); ok && (found < 0 || len(rel) < len(name)) {
			found, name = i, rel
		}
	}
	var hiders []string
	for i := range max(found, 0) {
		hiders = append(hiders, s.portable(roots[i]+"/"+name))
	}
	return hiders
}

// portable returns the name of a file in an entry: relative to the gadget's folder if it is in
// it, else absolute.
func (s *search) portable(file string) string {
	if rel, ok := below(file, s.gadget); ok {
		return rel
	}
	if filepath.IsAbs(file) || s.gadget == "." {
		return file
	}
	cwd, err := os.Getwd()
	if err != nil {
		return file
	}
	return cwd + "/" + file
}

// below returns the rest of a file's name after the name of the folder. It does not clean names, because the
// meaning of ".." depends on links. The compiler leaves out "./" at the start of a name.
func below(file, dir string) (string, bool) {
	return strings.CutPrefix(strings.TrimPrefix(file, "./"), strings.TrimPrefix(dir, "./")+"/")
}
