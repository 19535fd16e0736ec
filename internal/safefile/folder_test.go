// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package safefile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

func TestPrivateFolder(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir, map[string]string{"real/deep": "/", "link": "->real", "absolute": "->" + dir + "/real/deep",
		"loop": "->loop", "file": "x", "back": "->real/../real/deep/..", "real/up": "->../real"})
	t.Chdir(dir)
	for _, c := range []struct{ path, want string }{ // want is below dir, or the error after "!"
		{dir + "/real", "real"},
		{"real", "real"},
		{"./real//deep/", "real/deep"},
		{"link/new/newer", "real/new/newer"},
		{"absolute", "real/deep"},
		{"absolute/../deep", "real/deep"},
		{"back", "real"},
		{"real/up/up/deep", "real/deep"},
		{"loop", "!too many levels"},
		{"file", "!not a directory"},
		{"file/below", "!not a directory"},
		{"/proc/self/cwd", "!points to something else in each process"},
	} {
		f, err := PrivateFolder(c.path)
		if text, isErr := strings.CutPrefix(c.want, "!"); isErr {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: error %v, want %q", c.path, err, text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		if want := filepath.Join(dir, c.want); f.Path != want {
			t.Errorf("%s: path %s, want %s", c.path, f.Path, want)
		}
		if err := f.WriteFile("x", ".tmp-", []byte(c.path)); err != nil {
			t.Error(err)
		}
		has(t, filepath.Join(dir, c.want, "x"), c.path)
		f.Close()
	}
	for _, made := range []string{"real/new", "real/new/newer"} {
		if st, err := os.Stat(made); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", made, st.Mode(), err)
		}
	}
}

// Folders that another user could replace are refused, and nothing is created there.
func TestPrivateFolderRefuses(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, c := range []struct {
		name, path, want string
		spoil            func(dir string)
		has              []string // the folder a, afterwards
	}{
		{"nothing wrong", "a/b", "", func(string) {}, nil},
		{"sticky above", "a/b", "", func(dir string) { chmod(t, dir+"/a", 0o1777) }, nil},
		{"of another user above", "a/b", "/a belongs to the user 65534", func(dir string) { chown(t, dir+"/a") }, nil},
		{"of another user", "a", "/a belongs to the user 65534", func(dir string) { chown(t, dir+"/a") }, nil},
		{"of another user below a sticky one", "a/b", "/b belongs to the user 65534", func(dir string) {
			chmod(t, dir+"/a", 0o1777)
			tree(t, dir, map[string]string{"a/b": "/"})
			chown(t, dir+"/a/b")
		}, nil},
		{"others can write above", "a/b", "/a can be written to by every user", func(dir string) { chmod(t, dir+"/a", 0o777) }, nil},
		{"group can write above", "a/b", "/a can be written to by the group 0", func(dir string) { chmod(t, dir+"/a", 0o770) }, nil},
		{"others can write, sticky", "a", "/a can be written to by every user", func(dir string) { chmod(t, dir+"/a", 0o1777) }, nil},
		{"group can write", "a", "/a can be written to by the group 0", func(dir string) { chmod(t, dir+"/a", 0o770) }, nil},
		{"link of another user", "a/l/b", "/a/l belongs to the user 65534", func(dir string) {
			tree(t, dir, map[string]string{"a/l": "->.."})
			chown(t, dir+"/a/l")
		}, []string{"l"}},
		{"link through another user's folder", "l/b", "/a belongs to the user 65534", func(dir string) {
			tree(t, dir, map[string]string{"c": "/", "l": "->a/../c"})
			chown(t, dir+"/a")
		}, nil},
	} {
		dir := t.TempDir()
		tree(t, dir, map[string]string{"a": "/"})
		c.spoil(dir)
		f, err := PrivateFolder(filepath.Join(dir, c.path))
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			} else {
				f.Close()
			}
			continue
		}
		if !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if c.name != "of another user below a sticky one" { // which has it
			lists(t, dir+"/a", c.has...)
		}
	}
}

func TestTempFolder(t *testing.T) {
	kerneltest.RequireRoot(t)
	dir := t.TempDir()
	for mode, want := range map[uint32]string{0o1777: "", 0o700: "", 0o755: "", 0o777: "written to by every user", 0o775: "the group 0"} {
		chmod(t, dir, mode)
		f, err := TempFolder(dir)
		if err == nil {
			f.Close()
		}
		if (err == nil) != (want == "") || err != nil && (!errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), want)) {
			t.Errorf("mode %o: error %v, want %q", mode, err, want)
		}
	}
	chmod(t, dir, 0o1777)
	if _, err := TempFolder(dir + "/none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("one that is not there: error %v", err)
	}
	chown(t, dir)
	if _, err := TempFolder(dir); !errors.Is(err, ErrUntrusted) {
		t.Errorf("another user's: error %v", err)
	}
}

// Whatever another user exchanges and when: root makes nothing where the link points to.
func TestPrivateFolderWhileSwapped(t *testing.T) {
	kerneltest.RequireRoot(t)
	dir := t.TempDir()
	tree(t, dir, map[string]string{"target": "/", "home/cache": "/", "home/link": "->../target"})
	chown(t, dir+"/home", dir+"/home/link")
	swapping(t, dir+"/home", "cache", "link")
	for range 1000 {
		if f, err := PrivateFolder(dir + "/home/cache/gizmo"); err == nil {
			t.Fatalf("opened %s", f.Path)
		}
	}
	lists(t, dir+"/target")
}

func TestFolderReadFile(t *testing.T) {
	kerneltest.RequireRoot(t)
	dir := t.TempDir()
	tree(t, dir, map[string]string{"fine": "12345", "long": "123456", "theirs": "x", "open": "x", "pipe": "|", "outside": "->/etc/passwd"})
	chown(t, dir+"/theirs")
	chmod(t, dir+"/open", 0o666)
	f, err := PrivateFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, want := range map[string]string{"fine": "", "long": "may have at most 5", "theirs": "belongs to the user 65534",
		"open": "can be written to by every user", "pipe": "not a regular file", "outside": "escapes", "none": "no such file"} {
		got, err := f.ReadFile(name, "a test", 5)
		if want == "" && (err != nil || string(got) != "12345") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestFolderWriteFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"old": "old", "folder/full": "x"})
	f, err := PrivateFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range []string{"new", "old"} {
		if err := f.WriteFile(name, ".tmp-", []byte("text")); err != nil {
			t.Error(err)
		}
		has(t, filepath.Join(dir, name), "text")
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
	for _, name := range []string{"folder", "none/x", "../x"} {
		if err := f.WriteFile(name, ".tmp-", nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	lists(t, dir, "folder", "new", "old")
}
