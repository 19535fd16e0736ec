// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package targets

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ID identifies the file that the kernel puts probes into, whatever its path.
type ID struct {
	Device, Inode uint64
	// below is for files on overlayfs, which shows a file of a lower folder in each of its mounts with another device. The kernel puts
	// the probe into the file below, so containers of one image share it.
	below string
}

// identify returns the id of an open file.
func identify(f *os.File, st *unix.Stat_t) (ID, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		return ID{}, err
	}
	if fs.Type != unix.OVERLAYFS_SUPER_MAGIC {
		return ID{Device: st.Dev, Inode: st.Ino}, nil
	}
	var more unix.Statx_t
	mask := unix.STATX_BTIME | unix.STATX_CTIME | unix.STATX_MTIME
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, mask, &more); err != nil {
		return ID{}, err
	}
	// A copy that a container has made of a file keeps the file's number and handle. It is younger.
	made := more.Btime
	if more.Mask&unix.STATX_BTIME == 0 {
		made = more.Ctime
	}
	return ID{
		Inode: st.Ino,
		below: fmt.Sprint(handleOf(f), made.Sec, made.Nsec, more.Mtime.Sec, more.Mtime.Nsec, st.Size),
	}, nil
}

// handleOf returns the kernel's handle for a file, which overlayfs takes from the file below; "" where it has none. Without the handle a
// container could pretend, by a file system of its own, that a file of its own is a file of others, and so keep probes from theirs.
func handleOf(f *os.File) string {
	const identifyOnly = 0x200 // AT_HANDLE_FID, since Linux 6.5; on overlayfs since 6.6
	h, _, err := unix.NameToHandleAt(int(f.Fd()), "", unix.AT_EMPTY_PATH|identifyOnly)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d:%x", h.Type(), h.Bytes())
}
