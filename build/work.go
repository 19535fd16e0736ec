// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

// The names of folders of builds, before and after they are locked.
const (
	newPrefix  = "gizmo-new-"
	workPrefix = "gizmo-work-"
	// newAge is longer than a build takes to lock a new folder.
	newAge = time.Hour
	// unlockableAge is longer than any build takes, for file systems without locks.
	unlockableAge = 24 * time.Hour
)

// work is the private folder of one build, for all files that the compiler writes. It is locked as long as
// the build runs: the kernel releases the lock however the process ends, and the next build removes folders
// without a lock.
type work struct {
	*safefile.Folder
	parent *safefile.Folder
	name   string
	lock   *os.File
	say    logFunc
}

// newWork makes the folder: in the cache if possible, else among the temporary files.
func newWork(c cache) (*work, error) {
	// LLVM's programs take "%" in the path of an output for a place for random characters.
	if c.namesFolders() && !strings.Contains(c.folder.Path, "%") {
		parent, err := safefile.PrivateFolder(filepath.Join(c.folder.Path, workKind))
		if err == nil {
			var w *work
			if w, err = makeWork(parent, c.say); err == nil {
				return w, nil
			}
		}
		c.say("cache: %v", err)
	}
	parent, err := openTemp(c.say)
	if err != nil {
		return nil, err
	}
	return makeWork(parent, c.say)
}

// openTemp opens the first folder for temporary files in which other users cannot replace the files of this one.
func openTemp(say logFunc) (*safefile.Folder, error) {
	var errs []error
	for _, dir := range slices.Compact([]string{os.TempDir(), "/tmp", "/var/tmp"}) {
		folder, err := safefile.TempFolder(dir)
		if err == nil {
			return folder, nil
		}
		say("skipping a folder for temporary files: %v", err)
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("there is no safe folder for temporary files, set TMPDIR: %w", errors.Join(errs...))
}

// makeWork makes a folder in parent, which it closes if that fails.
func makeWork(parent *safefile.Folder, say logFunc) (*work, error) {
	sweep(parent, say)
	w := &work{parent: parent, name: safefile.RandomName(newPrefix), say: say}
	if err := parent.Mkdir(w.name, privateDir); err != nil {
		parent.Close()
		return nil, err
	}
	var err error
	if w.lock, err = parent.Open(w.name); err == nil {
		// Other builds leave a new folder alone, so none of them has the lock. Where there are no locks it is
		// left alone for long enough.
		_ = lock(w.lock)
		final := workPrefix + strings.TrimPrefix(w.name, newPrefix)
		if err = parent.Rename(w.name, final); err == nil {
			w.name = final
			w.Folder, err = safefile.PrivateFolder(filepath.Join(parent.Path, final))
		}
	}
	if err != nil {
		w.remove()
		return nil, err
	}
	return w, nil
}

// lock takes the lock of a folder, or fails at once.
func lock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// path is that of a file in the folder.
func (w *work) path(name string) string { return filepath.Join(w.Path, name) }

// remove removes the folder with all that is in it.
func (w *work) remove() {
	if err := w.parent.RemoveAll(w.name); err != nil {
		w.say("cannot remove the build's temporary files: %v", err)
	}
	if w.lock != nil {
		w.lock.Close()
	}
	if w.Folder != nil {
		w.Folder.Close()
	}
	w.parent.Close()
}

// sweep removes the folders of builds that were killed, and leaves alone those of builds that run.
func sweep(parent *safefile.Folder, say logFunc) {
	entries, err := fs.ReadDir(parent.FS(), ".")
	if err != nil {
		say("cannot look for temporary files of killed builds: %v", err)
		return
	}
	for _, e := range entries {
		isNew := strings.HasPrefix(e.Name(), newPrefix)
		if !isNew && !strings.HasPrefix(e.Name(), workPrefix) {
			continue
		}
		st, err := parent.Lstat(e.Name())
		if err != nil || !st.IsDir() || !isOwn(st) || isNew && time.Since(st.ModTime()) < newAge {
			continue
		}
		if removed, err := removeDead(parent, e.Name(), st); err != nil {
			say("cannot remove temporary files of a killed build: %v", err)
		} else if removed {
			say("removed temporary files of a killed build: %s", filepath.Join(parent.Path, e.Name()))
		}
	}
}

func isOwn(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(sys.Uid) == os.Geteuid()
}

// removeDead removes the folder of a build unless that runs.
func removeDead(parent *safefile.Folder, name string, st fs.FileInfo) (removed bool, err error) {
	f, err := parent.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // the build ended meanwhile
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = lock(f)
	if errors.Is(err, unix.EWOULDBLOCK) || err != nil && time.Since(st.ModTime()) < unlockableAge {
		return false, nil
	}
	return true, parent.RemoveAll(name)
}
