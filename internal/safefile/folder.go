// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Folder is an open folder.
type Folder struct {
	*os.Root
	// Path is the folder's absolute path without links. Only root and this user can make it lead to another
	// folder, so it is safe to pass it to other programs.
	Path string
}

// PrivateFolder opens a folder that only this user and root can change. It creates the folder and its parents
// if they do not exist. Each folder and each link on the path must belong to root or to this user, and
// no other user may write to the folders, unless they are sticky as /tmp is. Otherwise the error wraps
// [ErrUntrusted] and names the folder or link. In that case nothing was created in a folder of another user.
func PrivateFolder(path string) (*Folder, error) {
	return openFolder(path, true, func(path string, st *unix.Stat_t) error {
		switch {
		case int(st.Uid) != os.Geteuid():
			return untrusted(fmt.Sprintf("%s belongs to the user %d", path, st.Uid))
		case st.Mode&0o022 != 0:
			return untrusted(othersCanWrite(path, st))
		}
		return nil
	})
}

// TempFolder opens a folder in which other users may have files, too, but in which no other user can rename
// or remove those of this user. It is not made.
func TempFolder(path string) (*Folder, error) {
	return openFolder(path, false, func(string, *unix.Stat_t) error { return nil })
}

// openFolder walks to a folder and checks that others cannot replace any folder on the path. It also checks the last one by
// checkLast.
func openFolder(path string, create bool, checkLast func(string, *unix.Stat_t) error) (*Folder, error) {
	// Not filepath.Abs, which cleans the path: the meaning of ".." depends on links.
	if !filepath.IsAbs(path) {
		cwd, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		path = cwd + "/" + path
	}
	w, err := newWalker(path)
	if err != nil {
		return nil, err
	}
	w.checkFolder, w.makeFolders = checkSteady, create
	dir, err := w.folder()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	st, err := stat(dir)
	if err == nil {
		err = checkLast(w.name, st)
	}
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(w.name)
	if err != nil {
		return nil, err
	}
	// This looked the path up again. No other user could exchange it; if it is another, that was wrong.
	if err := isFolder(root, st); err != nil {
		root.Close()
		return nil, fmt.Errorf("%s: %w", w.name, err)
	}
	return &Folder{Root: root, Path: w.name}, nil
}

// checkSteady fails if users other than root and this one can rename or remove what is in a folder of
// this user.
func checkSteady(path string, st *unix.Stat_t) error {
	switch {
	case !isTrusted(st):
		return untrusted(fmt.Sprintf("%s belongs to the user %d, who could replace files in it", path, st.Uid))
	case st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0:
		return untrusted(othersCanWrite(path, st))
	}
	return nil
}

func othersCanWrite(path string, st *unix.Stat_t) string {
	who := "every user"
	if st.Mode&0o002 == 0 {
		who = fmt.Sprintf("the group %d", st.Gid)
	}
	return fmt.Sprintf("%s can be written to by %s", path, who)
}

func isFolder(root *os.Root, want *unix.Stat_t) error {
	st, err := root.Stat(".")
	if err != nil {
		return err
	}
	if have, ok := st.Sys().(*syscall.Stat_t); !ok || have.Dev != want.Dev || have.Ino != want.Ino {
		return untrusted("it was replaced in the meantime")
	}
	return nil
}

// ReadFile returns the contents of a file that this user or root wrote, of at most limit bytes. It checks the owner,
// the type and the size after it has opened the file.
func (f *Folder) ReadFile(name, what string, limit int64) ([]byte, error) {
	file, err := f.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	st, err := stat(file)
	switch {
	case err != nil:
		return nil, err
	case kindOf(st) != unix.S_IFREG:
		return nil, notRegular(file.Name())
	case !isTrusted(st):
		return nil, untrusted(fmt.Sprintf("%s belongs to the user %d", file.Name(), st.Uid))
	case st.Mode&0o022 != 0:
		return nil, untrusted(othersCanWrite(file.Name(), st))
	}
	return ReadFrom(file, what, limit)
}

// WriteFile makes a file appear, for this user only, with all its contents or not at all. In the meantime
// it has a random name, which begins with tempPrefix.
func (f *Folder) WriteFile(name, tempPrefix string, data []byte) error {
	temp := filepath.Join(filepath.Dir(name), RandomName(tempPrefix))
	file, err := f.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err == nil {
		err = f.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(f.Remove(temp)))
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
