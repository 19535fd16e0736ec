// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package safefile opens, creates and replaces files for a program that often runs as root, in folders
// that other users may control.
//
// [Read] and [Open] are for reading files, [Replace] writes a whole file, [Create] opens a file for
// output that comes in pieces, [PrivateFolder] and [TempFolder] open folders for the program's own files.
//
// For writing, the package looks up names a component at a time, each by the descriptor of the folder
// before. It follows symbolic links only if they belong to root or to the user that the program runs as:
// another user could otherwise choose the file that root writes to, and change the choice at any moment.
package safefile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrUntrusted is wrapped by errors that say that another user could decide what happens to a file.
var ErrUntrusted = errors.New("another user could interfere")

// untrusted is an error with a text of its own that is an ErrUntrusted.
type untrusted string

func (e untrusted) Error() string        { return string(e) }
func (e untrusted) Is(target error) bool { return target == ErrUntrusted }

// Open opens a regular file for reading, and fails if there is something else: pipes would wait, and
// devices could notice.
func Open(path string) (*os.File, error) {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = notRegular(path)
	}
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if err := checkRegular(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// checkRegular checks the opened file again.
func checkRegular(f *os.File) error {
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = notRegular(f.Name())
	}
	return err
}

func notRegular(path string) error { return fmt.Errorf("%s is not a regular file", path) }

// Read returns the contents of a regular file of at most limit bytes, never nil. It checks the size
// before it reads. The error about a larger file calls the file what, like "gadget.yaml" or "an object".
func Read(path, what string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadFrom(f, what, limit)
}

// leastRead is more than files have that can be read only once, those of /proc/sys above all.
const leastRead = 4096

// ReadFrom is Read for an open file.
func ReadFrom(f *os.File, what string, limit int64) ([]byte, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes; %s may have at most %d", f.Name(), st.Size(), what, limit)
	}
	// The file may grow, and those that the kernel makes up say that they are empty. Some of these are there
	// for the first read only, so that has to be large enough.
	data := make([]byte, 0, max(st.Size()+1, leastRead))
	for int64(len(data)) <= limit {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := f.Read(data[len(data):min(int64(cap(data)), limit+1)])
		data = data[:len(data)+n]
		if errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s has more than %d bytes; %s may have at most %d", f.Name(), limit, what, limit)
}

// RandomName returns the prefix followed by 128 random bits: a name that other users cannot guess and
// occupy.
func RandomName(prefix string) string {
	var b [16]byte
	rand.Read(b[:]) // never fails: it would end the program
	return prefix + hex.EncodeToString(b[:])
}

// modeOf translates the kernel's permission bits.
func modeOf(st *unix.Stat_t) fs.FileMode { return fs.FileMode(st.Mode & 0o777) }

func kindOf(st *unix.Stat_t) uint32 { return st.Mode & unix.S_IFMT }

func sameFile(a, b *unix.Stat_t) bool { return a.Dev == b.Dev && a.Ino == b.Ino }

// isTrusted reports whether a file belongs to root or to the program's user.
func isTrusted(st *unix.Stat_t) bool { return st.Uid == 0 || int(st.Uid) == os.Geteuid() }
