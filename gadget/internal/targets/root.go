// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package targets

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// root opens files below a directory. Symbolic links are followed as a program would that has the
// directory for its root: they never lead out of it. A container could otherwise have its probes put
// on files of the host.
type root struct {
	dir *os.File // nil: that of this process
}

var errNotRegular = errors.New("it is not a regular file")

func openRoot(dir string) (*root, error) {
	if dir == "" || dir == "/" {
		return &root{}, nil
	}
	f, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("root directory: %w", err)
	}
	return &root{dir: f}, nil
}

func (r *root) Close() error {
	if r.dir == nil {
		return nil
	}
	return r.dir.Close()
}

// openPath looks a path up without opening the file: opening a device or a pipe may have effects.
func (r *root) openPath(name string) (*os.File, error) {
	at, how := unix.AT_FDCWD, unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC}
	if r.dir == nil {
		fd, err := unix.Open(name, int(how.Flags), 0)
		return newFile(fd, name, err)
	}
	at, how.Resolve = int(r.dir.Fd()), unix.RESOLVE_IN_ROOT
	fd, err := unix.Openat2(at, strings.TrimLeft(path.Clean(name), "/"), &how)
	if errors.Is(err, unix.ENOSYS) {
		err = errors.New("this kernel cannot open files below another root (openat2, since Linux 5.6)")
	}
	return newFile(fd, name, err)
}

func newFile(fd int, name string, err error) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// open opens a regular file for reading.
func (r *root) open(name string) (*File, error) {
	place, err := r.openPath(name)
	if err != nil {
		return nil, err
	}
	defer place.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(place.Fd()), &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errNotRegular
	}
	f, err := reopen(place, 0)
	if err != nil {
		return nil, err
	}
	id, err := identify(f, &st)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &File{File: f, Path: name, ID: id, Size: st.Size}, nil
}

// reopen opens a file that was looked up for reading.
func reopen(place *os.File, flags int) (*os.File, error) {
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", place.Fd()), unix.O_RDONLY|unix.O_CLOEXEC|flags, 0)
	return newFile(fd, place.Name(), err)
}

// readFile returns a file of at most limit bytes.
func (r *root) readFile(name string, limit int64) ([]byte, error) {
	f, err := r.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("it has more than %d bytes", limit)
	}
	return data, err
}

// list returns the names of at most limit entries of a folder; none if there is no such folder.
func (r *root) list(dir string, limit int) []string {
	place, err := r.openPath(dir)
	if err != nil {
		return nil
	}
	defer place.Close()
	f, err := reopen(place, unix.O_DIRECTORY)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(limit) // after an error, the names read so far suffice
	return names
}
