// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// files are those that the calls open, made without opening any.
type files struct {
	dir string // absolute and free of symbolic links; the current directory, too
}

// Names that need care on the way to a terminal or into JSON.
var oddNames = []string{
	"two words",
	"Grüße-世界-🗂",
	"\x1b[31mred\x1b[0m\x07",
	"line\nbreak\ttab\rreturn",
	`quote"back\slash`,
	"not\xffutf\xfe8",
	"\u202eoverride",
	strings.Repeat("x", 255),
}

// Lengths of paths of folders: the longest that fit into fpath, and the first that do not.
var deepLengths = []int{maxFpath - len(cutMark) - 1, maxFpath - len(cutMark), maxFpath - len(cutMark) + 1, 1000}

// newFiles makes files in dir and changes to it.
func newFiles(dir string) (*files, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err == nil {
		err = os.Chdir(dir)
	}
	if err != nil {
		return nil, err
	}
	f := &files{dir: dir}
	return f, f.make()
}

func (f *files) make() error {
	for _, name := range append([]string{"plain", "secret"}, oddNames...) {
		if err := mknod(name, unix.S_IFREG); err != nil {
			return err
		}
	}
	for _, n := range deepLengths {
		if err := os.MkdirAll(f.deep(n), 0o755); err != nil {
			return err
		}
	}
	for _, err := range []error{
		mknod("fifo", unix.S_IFIFO),
		os.Mkdir("folder", 0o755),
		os.Mkdir("mount", 0o755),
		mknod("folder/inside", unix.S_IFREG),
		os.Symlink("plain", "link"),
		os.Symlink("loop", "loop"),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// mknod makes a file without opening it.
func mknod(name string, kind uint32) error {
	if err := unix.Mknod(name, kind|0o600, 0); err != nil {
		return fmt.Errorf("make %q: %w", name, err)
	}
	return nil
}

// path is that of a file in the folder.
func (f *files) path(name string) string { return f.dir + "/" + name }

// deep is a folder, relative to the current directory, whose path has n bytes.
func (f *files) deep(n int) string {
	n -= len(f.path(""))
	const part = 40
	names := strings.Repeat(strings.Repeat("d", part-1)+"/", n/part+1)
	return names[:n-1] + "e" // not a slash
}

// padded is a name of n bytes for the file "plain".
func (f *files) padded(n int) string {
	n -= len("plain")
	return strings.Repeat("./", n/2-n%2) + strings.Repeat(".//", n%2) + "plain"
}
