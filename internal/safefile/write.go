// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package safefile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// File is an open output file.
type File struct {
	*os.File
	// Created: the file was not there before.
	Created bool
	// Regular: it is neither a pipe nor a device.
	Regular bool
	place   *place
}

// Create opens a file for output, and creates it with the given permissions if it does not exist. The file keeps its
// contents until [File.Empty] is called. As with open(2), Create waits until a process reads a pipe.
//
// Create does not follow links of other users. It refuses a file or a pipe of another user in a folder that all can write
// to, because the other user may have put it there as a trap. In a folder of others it also refuses a file with
// a second name, because that may be the name of any file. These errors wrap [ErrUntrusted].
func Create(path string, perm fs.FileMode) (*File, error) {
	const attempts = 100 // more than one is needed if another process creates or removes the file meanwhile
	var err error
	for range attempts {
		var p *place
		if p, err = lookUp(path); err != nil {
			return nil, err
		}
		var f *File
		if f, err = p.create(perm); err == nil {
			return f, nil
		}
		p.Close()
		if !errors.Is(err, errMoved) {
			break
		}
	}
	return nil, err
}

// CreateWaiting is [Create], but waits for the reader of a pipe only until ctx is done.
func CreateWaiting(ctx context.Context, path string, perm fs.FileMode) (*File, error) {
	var file *File
	opened := make(chan error, 1)
	go func() { // ends only with the program if there is never a reader
		var err error
		file, err = Create(path, perm)
		opened <- err
	}()
	select {
	case err := <-opened:
		return file, err
	case <-ctx.Done():
		return nil, fmt.Errorf("open %s: interrupted", path)
	}
}

func lookUp(path string) (*place, error) {
	w, err := newWalker(path)
	if err != nil {
		return nil, err
	}
	return w.file()
}

// errMoved says that the file that was found is no longer there.
var errMoved = errors.New("it was replaced while gizmo opened it")

func (p *place) create(perm fs.FileMode) (*File, error) {
	st, err := p.stat()
	if errors.Is(err, fs.ErrNotExist) {
		fd, err := unix.Openat(fdOf(p.dir), p.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(perm.Perm()))
		if errors.Is(err, fs.ErrExist) {
			return nil, p.fail(errMoved)
		}
		if err != nil {
			return nil, p.fail(err)
		}
		return &File{File: os.NewFile(uintptr(fd), p.path), Created: true, Regular: true, place: p}, nil
	}
	if err != nil {
		return nil, p.fail(err)
	}
	f, err := p.open(st)
	if err != nil {
		return nil, err
	}
	if kindOf(st) == unix.S_IFREG && p.magic == nil {
		if err := p.checkNames(st); err != nil {
			f.Close()
			return nil, err
		}
	}
	return &File{File: f, Regular: kindOf(st) == unix.S_IFREG, place: p}, nil
}

// stat describes the file that is at the place now.
func (p *place) stat() (*unix.Stat_t, error) {
	if p.magic != nil {
		return stat(p.magic)
	}
	var st unix.Stat_t
	return &st, unix.Fstatat(fdOf(p.dir), p.name, &st, unix.AT_SYMLINK_NOFOLLOW)
}

func (p *place) fail(err error) error { return &fs.PathError{Op: "open", Path: p.path, Err: err} }

// open opens the file at the place for writing, and keeps its contents. It checks the file before opening, so that
// it opens no file that it must not open, and afterwards, so that the opened file is the checked one.
func (p *place) open(want *unix.Stat_t) (*os.File, error) {
	if err := p.checkOwner(want); err != nil {
		return nil, err
	}
	dir, name, flags := fdOf(p.dir), p.name, unix.O_WRONLY|unix.O_NOCTTY|unix.O_CLOEXEC
	if p.magic == nil {
		flags |= unix.O_NOFOLLOW
	} else {
		dir, name = unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fdOf(p.magic))
	}
	switch kindOf(want) {
	case unix.S_IFREG:
		flags |= unix.O_NONBLOCK // if it is a pipe by then, do not wait
	case unix.S_IFDIR:
		return nil, p.fail(unix.EISDIR)
	case unix.S_IFLNK:
		return nil, p.fail(errMoved)
	}
	fd, err := ignoringEINTR(func() (int, error) { return unix.Openat(dir, name, flags, 0) })
	switch {
	case p.magic == nil && (errors.Is(err, unix.ELOOP) || errors.Is(err, fs.ErrNotExist)):
		return nil, p.fail(errMoved)
	case err != nil:
		return nil, p.fail(err)
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && !sameFile(&st, want) {
		err = errMoved
	}
	if err == nil && kindOf(want) == unix.S_IFIFO {
		err = unix.SetNonblock(fd, true) // for Go's poller, so that Close ends a write that waits
	}
	if err != nil {
		unix.Close(fd)
		return nil, p.fail(err)
	}
	return os.NewFile(uintptr(fd), p.path), nil
}

func ignoringEINTR(open func() (int, error)) (int, error) {
	for {
		if fd, err := open(); !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// checkOwner refuses files that another user may have put in a folder that all can write to, as the kernel does
// for O_CREAT if fs.protected_regular and fs.protected_fifos are set. checkOwner does not depend on these settings.
func (p *place) checkOwner(st *unix.Stat_t) error {
	if p.magic != nil || kindOf(st) != unix.S_IFREG && kindOf(st) != unix.S_IFIFO {
		return nil
	}
	folder, err := stat(p.dir)
	if err != nil {
		return p.fail(err)
	}
	shared := folder.Mode&0o002 != 0 || folder.Mode&0o020 != 0 && folder.Mode&unix.S_ISVTX != 0
	if !shared || int(st.Uid) == os.Geteuid() || st.Uid == folder.Uid {
		return nil
	}
	return untrusted(fmt.Sprintf("%s belongs to the user %d, and is in a folder that others can write to: "+
		"remove it, or give another name", p.path, st.Uid))
}

// checkNames refuses a file of this user that another user may have given a name in a folder of theirs.
func (p *place) checkNames(st *unix.Stat_t) error {
	folder, err := stat(p.dir)
	if err != nil {
		return p.fail(err)
	}
	if st.Nlink < 2 || isTrusted(folder) && folder.Mode&0o022 == 0 {
		return nil
	}
	return untrusted(fmt.Sprintf("%s has other names, too, and is in a folder that others can write to: "+
		"remove it, or give another name", p.path))
}

// Empty removes the contents of a regular file. It does nothing for pipes and devices.
func (f *File) Empty() error {
	if !f.Regular {
		return nil
	}
	return f.Truncate(0)
}

// Close closes the file.
func (f *File) Close() error {
	f.place.Close()
	return f.File.Close()
}

// Discard closes the file, and removes it if Create made it.
func (f *File) Discard() error {
	var err error
	if f.Created {
		err = f.place.remove(f.File)
	}
	return errors.Join(err, f.Close())
}

// remove removes the file, unless its name is another's by now.
func (p *place) remove(f *os.File) error {
	mine, err := stat(f)
	if err != nil {
		return p.fail(err)
	}
	there, err := p.stat()
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !sameFile(mine, there):
		return nil
	case err != nil:
		return p.fail(err)
	}
	return ignoreMissing(unix.Unlinkat(fdOf(p.dir), p.name, 0))
}
