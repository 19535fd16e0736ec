// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package safefile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links a name may lead through, as for the kernel.
const maxLinks = 40

// walker looks a name up, a component at a time.
type walker struct {
	dir  *os.File // the folder that was reached, open with O_PATH
	name string   // its path, without links: "." at first if the name was relative
	rest []string // the components to look up in it
	// checkFolder, if set, is called for each folder on the path, including the first.
	checkFolder func(name string, st *unix.Stat_t) error
	// makeFolders: folders that are not there are made, for this user only.
	makeFolders bool
	links       int
	whole       string // the name that was given, for errors
}

// place is where a name led to: a name in a folder, which is not a link, and perhaps not there.
type place struct {
	dir  *os.File // open with O_PATH
	name string
	path string // with the folder's, for errors
	// magic is the target of a link of procfs, such as /dev/stdout: an open file, without a name. It is
	// open with O_PATH.
	magic *os.File
}

func (p *place) Close() {
	p.dir.Close()
	if p.magic != nil {
		p.magic.Close()
	}
}

func newWalker(name string) (*walker, error) {
	w := &walker{whole: name, name: ".", rest: strings.Split(name, "/")}
	if name == "" {
		return nil, w.fail(unix.ENOENT)
	}
	if name[0] == '/' {
		w.name = "/"
	}
	var err error
	w.dir, err = openPath(unix.AT_FDCWD, w.name, unix.O_DIRECTORY)
	return w, w.fail(err)
}

func (w *walker) fail(err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: "open", Path: w.whole, Err: err}
}

// openPath opens a name in a folder with O_PATH, because opening a device or a pipe may have effects. It opens a link
// itself, not its target.
func openPath(dir int, name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func fdOf(f *os.File) int { return int(f.Fd()) }

func stat(f *os.File) (*unix.Stat_t, error) {
	var st unix.Stat_t
	return &st, unix.Fstat(fdOf(f), &st)
}

// folder walks to a folder. The caller closes it.
func (w *walker) folder() (*os.File, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	for w.next() {
		if _, err := w.step(false); err != nil {
			w.dir.Close()
			return nil, err
		}
	}
	return w.dir, nil
}

// file walks to the place of a file. The caller closes it.
func (w *walker) file() (*place, error) {
	for w.next() {
		p, err := w.step(len(w.rest) == 1)
		if err != nil {
			w.dir.Close()
			return nil, err
		}
		if p != nil {
			return p, nil
		}
	}
	w.dir.Close()
	return nil, w.fail(unix.EISDIR)
}

// next drops components that say nothing, and reports whether any is left.
func (w *walker) next() bool {
	for len(w.rest) > 0 && (w.rest[0] == "." || w.rest[0] == "") {
		w.rest = w.rest[1:]
	}
	return len(w.rest) > 0
}

// step looks up the next component. If it is the last of a file's name, and no link or folder, the place is
// returned.
func (w *walker) step(last bool) (*place, error) {
	name := w.rest[0]
	w.rest = w.rest[1:]
	here := &place{dir: w.dir, name: name, path: path.Join(w.name, name)}
	f, err := openPath(fdOf(w.dir), name, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist) && last:
		return here, nil
	case errors.Is(err, fs.ErrNotExist) && w.makeFolders:
		if err = unix.Mkdirat(fdOf(w.dir), name, 0o700); err == nil || errors.Is(err, fs.ErrExist) {
			f, err = openPath(fdOf(w.dir), name, unix.O_DIRECTORY)
		}
	}
	if err != nil {
		return nil, w.fail(err)
	}
	st, err := stat(f)
	switch {
	case err != nil:
	case kindOf(st) == unix.S_IFLNK:
		return w.follow(f, here, st, last)
	case kindOf(st) == unix.S_IFDIR:
		return nil, w.enter(f, name)
	case last:
		f.Close()
		return here, nil
	default:
		err = unix.ENOTDIR
	}
	f.Close()
	return nil, w.fail(err)
}

// enter goes on in a folder.
func (w *walker) enter(f *os.File, name string) error {
	w.dir.Close()
	w.dir, w.name = f, path.Join(w.name, name)
	return w.check()
}

func (w *walker) check() error {
	if w.checkFolder == nil {
		return nil
	}
	st, err := stat(w.dir)
	if err != nil {
		return w.fail(err)
	}
	return w.checkFolder(w.name, st)
}

// follow goes on where a link points to.
func (w *walker) follow(link *os.File, here *place, st *unix.Stat_t, last bool) (*place, error) {
	defer link.Close()
	if !isTrusted(st) {
		return nil, untrusted(fmt.Sprintf("the link %s belongs to the user %d, who could make it point anywhere: "+
			"give the path that it points to", here.path, st.Uid))
	}
	if w.links++; w.links > maxLinks {
		return nil, w.fail(unix.ELOOP)
	}
	if isProc(w.dir) {
		if w.checkFolder != nil {
			return nil, untrusted(here.path + " points to something else in each process")
		}
		return w.followMagic(here, last)
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fdOf(link), "", buf)
	if err != nil {
		return nil, w.fail(err)
	}
	target := string(bytes.TrimRight(buf[:n], "\x00"))
	w.rest = append(strings.Split(target, "/"), w.rest...)
	if !strings.HasPrefix(target, "/") {
		return nil, nil
	}
	root, err := openPath(unix.AT_FDCWD, "/", unix.O_DIRECTORY)
	if err != nil {
		return nil, w.fail(err)
	}
	w.name = "/"
	return nil, w.enter(root, "")
}

// isProc reports whether a folder is in procfs, whose links are special: many of them lead to open
// files, and their text is not a path.
func isProc(dir *os.File) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(fdOf(dir), &st) == nil && st.Type == unix.PROC_SUPER_MAGIC
}

func (w *walker) followMagic(here *place, last bool) (*place, error) {
	fd, err := unix.Openat(fdOf(w.dir), here.name, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, w.fail(err)
	}
	f := os.NewFile(uintptr(fd), here.path)
	st, err := stat(f)
	switch {
	case err == nil && kindOf(st) == unix.S_IFDIR:
		return nil, w.enter(f, here.name)
	case err == nil && last:
		here.magic = f
		return here, nil
	case err == nil:
		err = unix.ENOTDIR
	}
	f.Close()
	return nil, w.fail(err)
}
