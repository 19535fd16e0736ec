// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// OddNames are names of files that need care on the way to a terminal or into JSON, and the longest.
func OddNames() []string {
	return []string{
		"two words", "Grüße-世界-🗂", "\x1b[31mred\x1b[0m\x07", "line\nbreak\ttab\rreturn", `quote"back\slash`,
		"not\xffutf\xfe8", "\u202eoverride", strings.Repeat("n", 255),
	}
}

// EnterDir changes to a folder and returns its path: absolute and free of symbolic links.
func EnterDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err == nil {
		err = os.Chdir(dir)
	}
	return dir, err
}

// Padded is a name of n bytes for a file in the current folder.
func Padded(name string, n int) string {
	n -= len(name)
	return strings.Repeat("./", n/2-n%2) + strings.Repeat(".//", n%2) + name
}

// MaxPath is the longest path that events have as a whole.
const MaxPath = 512 - 1 - len(cutMark)

const cutMark = "..."

// CutPath is a path as events have it: as many directories are left out at its beginning as do not fit,
// with a mark for them.
func CutPath(path string) string {
	if len(path) <= MaxPath {
		return path
	}
	end := path[len(path)-MaxPath:]
	return cutMark + end[strings.Index(end, "/"):]
}

// MountDetached mounts a file system that is attached to no folder, so that other processes do not find it, and
// returns its root directory. It disappears when the last of its files is closed. A file system in memory has
// no device.
func MountDetached(kind, device string) (root int, err error) {
	fs, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("file system %s: %w", kind, err)
	}
	defer unix.Close(fs)
	if device != "" {
		if err := unix.FsconfigSetString(fs, "source", device); err != nil {
			return -1, err
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
}
