// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Replace replaces the contents of a file completely, or leaves the file as it is. An existing file
// keeps its owner and its permissions; a new one gets perm, less the umask. Replace follows links of this user or of root
// and replaces their targets; it does not follow links of others. It writes directly to pipes and
// devices. It refuses the same files as [Create].
func Replace(path string, data []byte, perm fs.FileMode) error {
	p, err := lookUp(path)
	if err != nil {
		return err
	}
	defer p.Close()
	old, err := p.stat()
	if errors.Is(err, fs.ErrNotExist) {
		return p.replace(data, nil, perm)
	}
	if err != nil {
		return p.fail(err)
	}
	// The file is opened even if it is going to be replaced: a read-only file must not be replaced.
	f, err := p.open(old)
	if err != nil {
		return err
	}
	if kindOf(old) == unix.S_IFREG && p.magic == nil {
		return errors.Join(f.Close(), p.replace(data, old, perm))
	}
	if kindOf(old) == unix.S_IFREG { // standard output, say, whose name is not known
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.Write(data)
	}
	return errors.Join(err, f.Close())
}

// replace writes a file beside and lets it take the name.
func (p *place) replace(data []byte, old *unix.Stat_t, perm fs.FileMode) error {
	dir, name := fdOf(p.dir), RandomName(".gizmo-")
	if old != nil {
		perm = 0o600 // until it has its owner
	}
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(perm.Perm()))
	if err != nil {
		return fmt.Errorf("write the file that is to replace %s: %w", p.path, err)
	}
	f := os.NewFile(uintptr(fd), p.path)
	_, err = f.Write(data)
	if err == nil && old != nil {
		err = takeAfter(f, old)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = unix.Renameat(dir, name, dir, p.name)
	}
	if err == nil {
		return nil
	}
	_ = unix.Unlinkat(dir, name, 0) // the error before matters more
	return fmt.Errorf("replace %s: %w", p.path, err)
}

// takeAfter gives a file the owner, the group and the permissions of another. Only root can give a file
// away. Where the owner or the group cannot be kept, the permissions that were meant for them go, too.
func takeAfter(f *os.File, old *unix.Stat_t) error {
	perm := modeOf(old)
	st, err := stat(f)
	if err != nil {
		return err
	}
	if st.Uid != old.Uid && f.Chown(int(old.Uid), int(old.Gid)) != nil {
		perm &^= 0o077
	} else if st.Gid != old.Gid && f.Chown(-1, int(old.Gid)) != nil {
		perm &^= 0o070
	}
	return f.Chmod(perm)
}
