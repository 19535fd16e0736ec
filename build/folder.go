// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// defaultFolder returns a folder for the cache that nobody but this user can write to. That
// matters: objects from the cache are loaded into the kernel, often by root, whose HOME may still
// be that of the user who called sudo.
func defaultFolder() (string, error) {
	uid := os.Geteuid()
	if dir, err := os.UserCacheDir(); err == nil {
		dir = filepath.Join(dir, "gizmo")
		if ownsAncestor(dir, uid) && os.MkdirAll(dir, privateDir) == nil && checkPrivate(dir, uid) == nil {
			return dir, nil
		}
	}
	dir := filepath.Join(os.TempDir(), "gizmo-"+strconv.Itoa(uid))
	if err := os.Mkdir(dir, privateDir); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return dir, checkPrivate(dir, uid)
}

// checkPrivate fails unless dir is a folder, not a link to one, of the user's own, and others
// cannot write to it.
func checkPrivate(dir string, uid int) error {
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	switch {
	case !st.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	case !owns(st, uid):
		return fmt.Errorf("%s does not belong to the user %d", dir, uid)
	case st.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others can write to %s", dir)
	}
	return nil
}

// ownsAncestor reports whether the nearest folder above dir that is there belongs to the user.
func ownsAncestor(dir string, uid int) bool {
	for dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		if st, err := os.Stat(dir); err == nil {
			return owns(st, uid)
		}
	}
	return false
}

func owns(st os.FileInfo, uid int) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(sys.Uid) == uid
}
