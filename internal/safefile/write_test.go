// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package safefile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir, map[string]string{"old": "old text", "link": "->old", "dangling": "->sub/fresh", "sub": "/"})
	t.Chdir(dir)
	for _, c := range []struct {
		path, real string
		created    bool
		mode       os.FileMode
	}{
		{"new", "new", true, 0o600},
		{"old", "old", false, 0o644},
		{"./link", "old", false, 0o644},
		{dir + "/dangling", "sub/fresh", true, 0o600},
	} {
		before, _ := os.ReadFile(c.real)
		f, err := Create(c.path, 0o600)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		has(t, c.real, string(before)) // as long as it is only open
		if f.Created != c.created || !f.Regular {
			t.Errorf("%s: created %v, regular %v", c.path, f.Created, f.Regular)
		}
		_, werr := io.WriteString(f, "n")
		if err := errors.Join(f.Empty(), werr, f.Close()); err != nil {
			t.Error(err)
		}
		if st, err := os.Stat(c.real); err != nil || st.Mode() != c.mode {
			t.Errorf("%s: %v, %v", c.path, st.Mode(), err)
		}
	}
	if target, err := os.Readlink("link"); err != nil || target != "old" {
		t.Errorf("the link: %q, %v", target, err)
	}
	for _, path := range []string{"", ".", "/", "sub", "sub/", "new/", "none/x", "new/x"} {
		if f, err := Create(path, 0o600); err == nil {
			t.Errorf("%q: opened %s", path, f.Name())
		}
	}
}

func TestCreateEmpties(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	tree(t, filepath.Dir(path), map[string]string{"file": "a long text"})
	f, err := Create(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Empty(); err != nil {
		t.Fatal(err)
	}
	has(t, path, "")
	_, err = io.WriteString(f, "short")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	has(t, path, "short")
}

// Only what was created is removed, and only if it still has the name.
func TestDiscard(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"old": "old"})
	for _, name := range []string{"old", "new", "moved"} {
		f, err := Create(filepath.Join(dir, name), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if name == "moved" {
			if err := os.Rename(dir+"/moved", dir+"/elsewhere"); err != nil {
				t.Fatal(err)
			}
			tree(t, dir, map[string]string{"moved": "another"})
		}
		if err := f.Discard(); err != nil {
			t.Error(err)
		}
	}
	lists(t, dir, "elsewhere", "moved", "old")
}

func TestCreatePipesAndDevices(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"pipe": "|"})
	text := make(chan string)
	go func() {
		data, _ := os.ReadFile(dir + "/pipe")
		text <- string(data)
	}()
	for _, path := range []string{dir + "/pipe", "/dev/null"} {
		f, err := Create(path, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if f.Created || f.Regular {
			t.Errorf("%s: created %v, regular %v", path, f.Created, f.Regular)
		}
		err = f.Empty()
		_, werr := io.WriteString(f, "text")
		if err := errors.Join(err, werr, f.Discard()); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if got := <-text; got != "text" {
		t.Errorf("the pipe gave %q", got)
	}
	lists(t, dir, "pipe")
}

// A write that waits for a slow reader ends when the pipe is closed.
func TestCloseEndsWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"pipe": "|"})
	reader, err := os.OpenFile(dir+"/pipe", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	f, err := Create(dir+"/pipe", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := f.Write(make([]byte, 1<<20))
		ended <- err
	}()
	time.Sleep(20 * time.Millisecond)
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

// An open file has names like /proc/self/fd/N, which is what /dev/stdout leads to.
func TestOpenFilesByNumber(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"file": "a long text"})
	file, err := os.OpenFile(dir+"/file", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	name := func(f *os.File) string { return "/dev/fd/" + strconv.Itoa(int(f.Fd())) }
	if err := errors.Join(Replace(name(file), []byte("short"), 0o644), Replace(name(w), []byte("piped"), 0o644), w.Close()); err != nil {
		t.Fatal(err)
	}
	has(t, dir+"/file", "short")
	if got, err := io.ReadAll(r); string(got) != "piped" {
		t.Errorf("got %q, %v", got, err)
	}
	lists(t, dir, "file")
}

// prepared is a file, link or pipe that may exist when root writes to the path.
type prepared struct {
	name, path, create, replace string // the errors; "" if it is allowed
	prepare                     func(dir string)
}

func prepareds(t *testing.T) []prepared {
	return []prepared{
		{"own file", "file", "", "", func(string) {}},
		{"own file where others can write", "file", "", "", func(dir string) { chmod(t, dir, 0o1777) }},
		{"their file in their folder", "file", "", "", func(dir string) { chown(t, dir, dir+"/file") }},
		{"their file in their open folder", "file", "", "", func(dir string) {
			chown(t, dir, dir+"/file")
			chmod(t, dir, 0o777)
		}},
		{"their file among others", "file", "belongs to the user 65534", "belongs to the user 65534", func(dir string) {
			chown(t, dir+"/file")
			chmod(t, dir, 0o1777)
		}},
		{"their file where their group can write", "file", "belongs to the user 65534", "belongs to the user 65534", func(dir string) {
			chown(t, dir+"/file")
			chmod(t, dir, 0o1770)
		}},
		{"their pipe among others", "pipe", "belongs to the user 65534", "belongs to the user 65534", func(dir string) {
			tree(t, dir, map[string]string{"pipe": "|"})
			chown(t, dir+"/pipe")
			chmod(t, dir, 0o1777)
		}},
		{"own link where others can write", "link", "", "", func(dir string) { chmod(t, dir, 0o1777) }},
		{"their link", "link", "the link ", "the link ", func(dir string) { chown(t, dir+"/link") }},
		{"their link in their folder", "link", "the link ", "the link ", func(dir string) { chown(t, dir, dir+"/link") }},
		{"their link to a folder", "up/file", "the link ", "the link ", func(dir string) {
			tree(t, dir, map[string]string{"up": "->."})
			chown(t, dir+"/up")
		}},
		{"their second name for it", "second", "has other names", "", func(dir string) {
			if err := os.Link(dir+"/file", dir+"/second"); err != nil {
				t.Fatal(err)
			}
			chown(t, dir)
		}},
		{"own second name for it", "second", "", "", func(dir string) {
			if err := os.Link(dir+"/file", dir+"/second"); err != nil {
				t.Fatal(err)
			}
		}},
	}
}

// Both ways to write refuse files that other users may have prepared, and do not change them.
func TestWritingRefuses(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, c := range prepareds(t) {
		dir := t.TempDir()
		tree(t, dir, map[string]string{"file": "x", "link": "->file"})
		c.prepare(dir)
		check := func(what, want string, err error) {
			t.Helper()
			if want == "" && err != nil || want != "" && (!errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir)) {
				t.Errorf("%s: %s: error %v, want %q", c.name, what, err, want)
			}
		}
		f, err := Create(filepath.Join(dir, c.path), 0o600)
		if err == nil {
			err = f.Close()
		}
		check("create", c.create, err)
		check("replace", c.replace, Replace(filepath.Join(dir, c.path), []byte("y"), 0o644))
		if c.replace != "" || c.name == "their second name for it" {
			has(t, dir+"/file", "x")
		}
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir, map[string]string{"old": "old", "sub/link": "->../old", "folder/full": "x", "dangling": "->fresh", "readonly": "x"})
	t.Chdir(dir)
	chmod(t, "old", 0o640)
	chmod(t, "readonly", 0o444)
	for i, c := range []struct {
		path, real string
		mode       os.FileMode
	}{{"new", "new", 0o604}, {"old", "old", 0o640}, {dir + "/sub/link", "old", 0o640}, {"dangling", "fresh", 0o604}} {
		text := strconv.Itoa(i)
		if err := Replace(c.path, []byte(text), 0o604); err != nil {
			t.Errorf("%s: %v", c.path, err)
		}
		has(t, c.real, text)
		if st, err := os.Stat(c.real); err != nil || st.Mode() != c.mode {
			t.Errorf("%s: %v, %v", c.path, st.Mode(), err)
		}
	}
	if target, err := os.Readlink("sub/link"); err != nil || target != "../old" {
		t.Errorf("the link: %q, %v", target, err)
	}
	for _, path := range []string{"folder", "none/x", ""} {
		if err := Replace(path, nil, 0o644); err == nil {
			t.Errorf("%q: no error", path)
		}
	}
	if os.Geteuid() != 0 {
		if err := Replace("readonly", nil, 0o644); !errors.Is(err, os.ErrPermission) {
			t.Errorf("a read-only file: error %v", err)
		}
	}
	if err := Replace("/dev/null", []byte("x"), 0o644); err != nil {
		t.Error(err)
	}
	lists(t, dir, "dangling", "folder", "fresh", "new", "old", "readonly", "sub")
}

// The owner stays when root replaces a file, and it never gets more rights than it had.
func TestReplaceKeepsOwner(t *testing.T) {
	kerneltest.RequireRoot(t)
	dir := t.TempDir()
	tree(t, dir, map[string]string{"file": "x"})
	chown(t, dir, dir+"/file")
	chmod(t, dir+"/file", 0o4640)
	if err := Replace(dir+"/file", []byte("y"), 0o644); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(dir+"/file", &st); err != nil || st.Uid != other || st.Gid != other || st.Mode != unix.S_IFREG|0o640 {
		t.Errorf("user %d, group %d, mode %o, %v", st.Uid, st.Gid, st.Mode, err)
	}
}

// Another user replaces their folder or file by a link while root writes: the target of the link does not
// change.
func TestWritingWhileSwapped(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, c := range []struct{ swapped, link, path string }{
		{"folder", "->../target", "folder/file"},
		{"out", "->../target/file", "out"},
	} {
		dir := t.TempDir()
		tree(t, dir, map[string]string{"target/file": "precious", "home/folder": "/", "home/out": "x", "home/link": c.link})
		chown(t, dir+"/home", dir+"/home/folder", dir+"/home/out", dir+"/home/link")
		stop := swapping(t, dir+"/home", c.swapped, "link")
		var done, refused int
		for range 1000 {
			err := Replace(filepath.Join(dir, "home", c.path), []byte("evil"), 0o644)
			f, cerr := Create(filepath.Join(dir, "home", c.path), 0o600)
			if cerr == nil {
				cerr = errors.Join(f.Empty(), f.Close())
			}
			if err == nil && cerr == nil {
				done++
			} else {
				refused++
			}
			if text, _ := os.ReadFile(dir + "/target/file"); string(text) != "precious" {
				t.Fatalf("%s: root wrote %q to what the link points to", c.path, text)
			}
		}
		stop()
		lists(t, dir+"/target", "file")
		if refused == 0 || done == 0 {
			t.Errorf("%s: done %d times, refused %d times: nothing was tried", c.path, done, refused)
		}
	}
}
