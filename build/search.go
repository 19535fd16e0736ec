// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"os"
	"path/filepath"
	"strings"
)

// search tells in which folders the compiler looked for headers.
type search struct {
	// folder is the gadget's folder, and gadget the same as the compiler got it.
	folder, gadget string
	headers, types string
	// fixed says that what is in the folder headers never changes.
	fixed bool
}

// roots are the folders in the order of the search.
func (s *search) roots() []string {
	return []string{s.gadget, s.headers, s.types, "/usr/local/include", "/usr/include"}
}

// hiders returns the files that, if they were there, the compiler would have read in place of
// file.
func (s *search) hiders(file string) []string {
	var earlier []string
	for _, root := range s.roots() {
		rel, ok := below(file, root)
		if !ok {
			earlier = append(earlier, root)
			continue
		}
		for i := range earlier {
			earlier[i] = s.portable(earlier[i] + "/" + rel)
		}
		return earlier
	}
	return nil
}

// portable returns the name by which an entry records a file: from the gadget's folder if it lies
// there, else absolute.
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

// below returns the rest of a file's name after that of the folder. It does not clean names: what
// ".." means depends on links. The compiler leaves out "./" at the start of a name.
func below(file, dir string) (string, bool) {
	return strings.CutPrefix(strings.TrimPrefix(file, "./"), strings.TrimPrefix(dir, "./")+"/")
}
