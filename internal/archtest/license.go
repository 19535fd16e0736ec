// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// The licenses of gizmo's files, see CONTRIBUTING.md: code that is compiled for the kernel may be used under
// the kernel's license, too.
const (
	apache = "Apache-2.0"
	dual   = "GPL-2.0 OR Apache-2.0"
)

// CheckLicenses returns a sentence for each source file below root whose first lines do not name the
// license that it should have.
func CheckLicenses(root fs.FS) ([]string, error) {
	var wrong []string
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && ignored(d.Name()) && name != ".ci":
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		want := wantedLicense(name)
		if want == "" {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		if got := namedLicense(string(text)); got != want {
			wrong = append(wrong, fmt.Sprintf("%s: want %q in its first lines, got %q", name, "SPDX-License-Identifier: "+want, got))
		}
		return nil
	})
	return wrong, err
}

// wantedLicense returns the license of a file, or "" if it is no source that people write.
func wantedLicense(name string) string {
	base, ext := path.Base(name), path.Ext(name)
	switch {
	case base == "vmlinux.h":
		return "" // generated from the kernel's types
	case slices.Contains([]string{".c", ".h"}, ext):
		return dual
	case !slices.Contains([]string{".go", ".s", ".sh"}, ext) && base != "Makefile" && !strings.HasPrefix(name, ".ci/"):
		return ""
	case strings.HasPrefix(name, "include/"):
		return dual
	}
	return apache
}

// namedLicense returns what follows SPDX-License-Identifier in the first lines.
func namedLicense(text string) string {
	for i, line := range strings.SplitN(text, "\n", 6) {
		if _, id, ok := strings.Cut(line, "SPDX-License-Identifier: "); ok && i < 5 {
			return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(id), "*/"))
		}
	}
	return ""
}
