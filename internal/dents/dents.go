// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package dents walks over the entries of folders as the kernel returns them (getdents64), without making a string or an object of each:
// folders in /proc and /sys/fs/cgroup have very many.
package dents

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Types of entries, where the file system says them.
const (
	Folder = unix.DT_DIR
	File   = unix.DT_REG
)

// The members of struct linux_dirent64.
const (
	lengthAt = 16
	typeAt   = 18
	nameAt   = 19
)

// Each reads the open folder from its beginning and calls see for each entry until see returns false. The names are valid during the
// call only. buf is where the kernel writes to; it should have some KiB.
func Each(fd int, buf []byte, see func(name []byte, typ uint8) bool) error {
	if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
		return err
	}
	for {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return err
		}
		for entries := buf[:n]; len(entries) > nameAt; {
			length := int(binary.NativeEndian.Uint16(entries[lengthAt:]))
			if length <= nameAt || length > len(entries) {
				break
			}
			name, _, _ := bytes.Cut(entries[nameAt:length], []byte{0})
			if !see(name, entries[typeAt]) {
				return nil
			}
			entries = entries[length:]
		}
	}
}
