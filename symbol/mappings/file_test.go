// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// newTestFiles makes files as a tracker does, without processes.
func newTestFiles(t testing.TB, budget int) *files {
	t.Helper()
	o := Options{OpenFiles: budget}
	o.complete()
	fs := newFiles(&o, func(uint32, []uint32) []uint32 { return nil })
	t.Cleanup(func() {
		if !fs.closed {
			fs.close()
		}
	})
	return fs
}

// mapHere maps a file into this process, and describes that.
func mapHere(t testing.TB, path string) rawRecord {
	t.Helper()
	addr, err := mapFile(0, path, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.MunmapPtr(ptr(addr), 1<<16) })
	var found rawRecord
	var m mapsReader
	err = m.read("/proc/self/maps", func(r *rawRecord) {
		if r.lo == uint64(addr) {
			found = *r
			found.name = bytes.Clone(r.name)
		}
	})
	if err != nil || string(found.name) != path {
		t.Fatalf("%s: %+v, %v", path, found, err)
	}
	found.pid = uint32(os.Getpid())
	return found
}

// settle returns what is known of the file when all attempts to open it are over.
func settle(t testing.TB, f *file) *File {
	t.Helper()
	if !f.wait(time.After(10 * time.Second)) {
		t.Fatal("a file was not opened within 10 s")
	}
	return f.current.Load()
}

func TestBudget(t *testing.T) {
	kerneltest.RequireRoot(t)
	files := newTestFiles(t, 8)
	dir := t.TempDir()
	var all []*File
	var data [][]byte
	for i := range 12 {
		path := filepath.Join(dir, fmt.Sprint(i))
		data = append(data, content(t, path, fmt.Sprint("file ", i)))
		r := mapHere(t, path)
		f := settle(t, files.get(&r))
		if !f.Opened() {
			t.Fatalf("file %d was not opened", i)
		}
		if i == 0 { // it has no name, so it stays open
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Duration(recheckAfter))
			if again := settle(t, files.get(&r)); again != f {
				t.Errorf("the deleted file is another: %+v and %+v", again, f)
			}
		}
		all = append(all, f)
	}
	if len(files.open) != 8 || files.counts.evicted.Load() != 4 {
		t.Errorf("%d files are open, %d were closed; want 8 and 4", len(files.open), files.counts.evicted.Load())
	}
	if all[0].file.handle == nil || all[1].file.handle != nil {
		t.Error("not the files that can be opened again were closed")
	}
	if err := os.Remove(all[2].Path()); err != nil {
		t.Fatal(err)
	}
	content(t, all[2].Path(), "another") // at the same path; the mapping has the first one still
	content(t, all[3].Path(), "written to")
	for i, f := range all {
		got := make([]byte, len(data[i]))
		_, err := f.ReadAt(got, 0)
		if i == 3 {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a closed file that was written to since: %v", err)
			}
			continue
		}
		if err != nil || !bytes.Equal(got, data[i]) {
			t.Errorf("file %d: %v, or other bytes", i, err)
		}
	}
	if len(files.open) > 8 {
		t.Errorf("%d files are open", len(files.open))
	}
	files.close()
	if _, err := all[11].ReadAt(make([]byte, 1), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
}

// A FIFO, a device and another file at the same path are not opened.
func TestOnlyTheMappedFile(t *testing.T) {
	kerneltest.RequireRoot(t)
	files := newTestFiles(t, 8)
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	content(t, path, "file")
	r := mapHere(t, path)
	r.lo, r.hi = 1<<46, 1<<46+4096 // no mapping of this process: only the path is left
	right := files.get(&r)
	if !settle(t, right).Opened() {
		t.Fatal("the file was not opened by its path")
	}
	try := func(what string, make func(path string) error, change func(*rawRecord)) {
		t.Helper()
		other := filepath.Join(dir, what)
		if err := make(other); err != nil {
			t.Fatal(what, err)
		}
		c := r
		c.name = []byte(other)
		var st unix.Stat_t
		if err := unix.Lstat(other, &st); err != nil {
			t.Fatal(err)
		}
		c.file.inode = st.Ino
		if change != nil {
			change(&c)
		}
		f := settle(t, files.get(&c))
		if f.Opened() {
			t.Errorf("%s was opened", what)
		}
		if _, err := f.ReadAt([]byte{0}, 0); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
	regular := func(path string) error { return os.WriteFile(path, []byte("text"), 0o600) }
	try("fifo", func(path string) error { return unix.Mkfifo(path, 0o600) }, nil)
	try("device", func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) }, nil)
	try("folder", func(path string) error { return os.Mkdir(path, 0o700) }, nil)
	try("link", func(path string) error { return os.Symlink(dir+"/file", path) }, func(c *rawRecord) { c.file.inode = r.file.inode + 1000 })
	try("another inode", regular, func(c *rawRecord) { c.file.inode++ })
	try("another device", regular, func(c *rawRecord) { c.file.minor++ })
	try("born later", regular, func(c *rawRecord) { c.time = bootTime() - uint64(time.Hour) })
	if g, ok := generationOf(int(right.handle.Fd())); ok {
		try("another generation", regular, func(c *rawRecord) { c.generation = uint64(g) + 1<<20 })
	}
	if got := files.counts.opened.Load(); got != 1 {
		t.Errorf("%d files were opened, want 1", got)
	}
}

func TestFilesLimit(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := Options{maxFiles: 3}
	o.complete()
	files := newFiles(&o, func(uint32, []uint32) []uint32 { return nil })
	defer files.close()
	for i := range 5 {
		r := rawRecord{name: []byte(fmt.Sprint("/nothing", i)), file: fileKey{inode: 1}}
		if f := files.get(&r); (f == nil) != (i >= 3) {
			t.Errorf("file %d: %v", i, f)
		}
	}
	if got := files.counts.refused.Load(); got != 2 {
		t.Errorf("%d files were refused, want 2", got)
	}
	files.sweep(func(func(*file)) {})
	for f := range files.table {
		settle(t, files.table[f])
	}
	files.sweep(func(func(*file)) {})
	if len(files.table) != 0 {
		t.Errorf("%d files without mappings are left", len(files.table))
	}
}

// A file system that does not answer holds up neither other files nor the end.
func TestStuckWorker(t *testing.T) {
	kerneltest.RequireRoot(t)
	files := newTestFiles(t, 8)
	hung := hangingFile(t)
	r := rawRecord{pid: uint32(os.Getpid()), lo: 1 << 46, hi: 1<<46 + 4096, name: []byte(hung), file: fileKey{inode: 1}}
	f := files.get(&r)
	if f.wait(time.After(2 * time.Duration(stuckAfter))) {
		t.Fatal("the file system answered")
	}
	files.watch()
	path := filepath.Join(t.TempDir(), "file")
	content(t, path, "file")
	other := mapHere(t, path)
	if !settle(t, files.get(&other)).Opened() {
		t.Error("another file was not opened")
	}
	began := time.Now()
	files.close()
	if took := time.Since(began); took > 2*closeWait {
		t.Errorf("closing took %v", took)
	}
}
