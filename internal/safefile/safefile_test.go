// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package safefile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"empty": "", "five": "12345", "six": "123456", "pipe": "|", "folder": "/", "link": "->five", "zero": "->/dev/zero"})
	for _, c := range []struct{ file, want, err string }{
		{"empty", "", ""},
		{"five", "12345", ""},
		{"link", "12345", ""},
		{"six", "", "/six has 6 bytes; a test may have at most 5"},
		{"pipe", "", "/pipe is not a regular file"},
		{"folder", "", "/folder is not a regular file"},
		{"zero", "", "/zero is not a regular file"},
		{"none", "", "no such file"},
	} {
		got, err := Read(filepath.Join(dir, c.file), "a test", 5)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: error %v, want %q", c.file, err, c.err)
		}
		if string(got) != c.want || err == nil && got == nil {
			t.Errorf("%s: got %q, want %q", c.file, got, c.want)
		}
	}
}

// The limit also applies to files whose size the kernel does not report.
func TestReadWithoutSize(t *testing.T) {
	t.Parallel()
	const file = "/proc/self/status"
	whole, err := Read(file, "a test", 1<<20)
	if err != nil || !strings.HasPrefix(string(whole), "Name:") {
		t.Fatalf("got %q, %v", whole, err)
	}
	if _, err := Read(file, "a test", 10); err == nil || !strings.Contains(err.Error(), "more than 10 bytes") {
		t.Errorf("error %v", err)
	}
}

// Files in /proc/sys return their contents only to the first read.
func TestReadInOnePiece(t *testing.T) {
	t.Parallel()
	if got, err := Read("/proc/sys/kernel/ostype", "a test", 100); err != nil || string(got) != "Linux\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

// A pipe that replaces a file between the check and the opening does not make Open wait.
func TestOpenWhileSwapped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"file": "text", "pipe": "|"})
	swapping(t, dir, "file", "pipe")
	var opened, refused int
	for range 20000 {
		f, err := Open(filepath.Join(dir, "file"))
		if err != nil {
			refused++
			continue
		}
		if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
			t.Fatalf("opened %v, %v", st.Mode(), err)
		}
		f.Close()
		opened++
	}
	if opened == 0 || refused == 0 {
		t.Errorf("opened %d times, refused %d times: nothing was tried", opened, refused)
	}
}

func TestRandomName(t *testing.T) {
	t.Parallel()
	a, b := RandomName(".x-"), RandomName(".x-")
	if a == b || len(a) != 3+32 || !strings.HasPrefix(a, ".x-") || !fs.ValidPath(a) {
		t.Errorf("names %q and %q", a, b)
	}
	if strings.ContainsRune(a, os.PathSeparator) {
		t.Errorf("name %q", a)
	}
}
