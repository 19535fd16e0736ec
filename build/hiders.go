// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"os"
	"path"
	"strings"
)

// maxHiders is how many headers an error names.
const maxHiders = 5

// blameHiders adds to the compiler's error the headers of the gadget's folder that the compiler read in place of others of the same
// name: they may lack definitions that other headers need.
func (j *job) blameHiders(err error, inc string) error {
	var rejected *CompileError
	if !errors.As(err, &rejected) || rejected.Hint != "" {
		return err
	}
	hiders := j.hiders(inc)
	if len(hiders) == 0 {
		return err
	}
	more := ""
	if len(hiders) > maxHiders {
		hiders, more = hiders[:maxHiders], " and more"
	}
	rejected.Hint = "the gadget's folder has headers that hide those of gizmo and libbpf: " + strings.Join(hiders, ", ") + more
	return err
}

// hiders lists the headers of the gadget's folder that hide others of the same name.
func (j *job) hiders(inc string) (names []string) {
	roots := append(searched(inc, j.arch), "/usr/local/include", "/usr/include")
	for _, folder := range []string{"", "bpf", "gadget"} {
		entries, err := os.ReadDir(path.Join(j.gadget.dir, folder))
		if err != nil {
			continue
		}
		for _, e := range entries {
			name := path.Join(folder, e.Name())
			for _, root := range roots {
				if st, err := os.Stat(root + "/" + name); err == nil && !st.IsDir() {
					names = append(names, name)
					break
				}
			}
		}
	}
	return names
}
