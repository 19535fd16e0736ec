// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func TestCachePrunes(t *testing.T) {
	t.Parallel()
	c := openCache(t.TempDir(), logTo(nil))
	then := time.Now().Add(-48 * time.Hour)
	for i := range 8 {
		key := fmt.Sprint("key", i)
		c.save(objectKind, key, []byte(key), 100)
		if err := os.Chtimes(c.path(objectKind, key), then, then.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	crashed, running := c.path(objectKind, tempPrefix+"crashed"), c.path(objectKind, tempPrefix+"running")
	for _, path := range []string{crashed, running} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(crashed, then, then); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.load(objectKind, "key0"); !ok { // the oldest is now the one used last
		t.Fatal("key0 is gone")
	}
	c.save(objectKind, "new", []byte("new"), 4)
	var left []string
	entries, _ := os.ReadDir(filepath.Join(c.dir, objectKind))
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got, want := fmt.Sprint(left), fmt.Sprint([]string{tempPrefix + "running", "key0", "key6", "key7", "new"}); got != want {
		t.Errorf("left are %s, want %s", got, want)
	}
}

func TestZeroCacheForgets(t *testing.T) {
	t.Parallel()
	c := cache{say: logTo(nil)}
	c.save(objectKind, "key", []byte("x"), 1)
	if _, ok := c.load(objectKind, "key"); ok {
		t.Error("it did not forget")
	}
}

func TestDefaultFolder(t *testing.T) {
	home, temp := t.TempDir(), t.TempDir()
	private := temp + "/gizmo-" + strconv.Itoa(os.Geteuid())
	t.Setenv("TMPDIR", temp)
	expect := func(what, want string) {
		t.Helper()
		if got, err := defaultFolder(); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", what, got, err, want)
		}
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", home)
	expect("with a home", home+"/.cache/gizmo")
	t.Setenv("HOME", "")
	expect("without a home", private)
	expect("again", private)
	t.Setenv("HOME", "/proc/1/nowhere")
	expect("a home that cannot be", private)
	if os.Geteuid() == 0 {
		theirs := t.TempDir()
		if err := os.Chown(theirs, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		t.Setenv("HOME", theirs)
		expect("somebody else's home", private)
		if left, _ := os.ReadDir(theirs); len(left) > 0 {
			t.Errorf("left in somebody else's home: %v", left)
		}
	}
	t.Setenv("HOME", "")
	for what, spoil := range map[string]func() error{
		"others can write": func() error { return os.Chmod(private, 0o777) },
		"a link": func() error {
			os.RemoveAll(private)
			return os.Symlink(home, private)
		},
		"a file": func() error {
			os.RemoveAll(private)
			return os.WriteFile(private, nil, 0o600)
		},
	} {
		os.RemoveAll(private)
		if err := os.Mkdir(private, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if _, err := defaultFolder(); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func FuzzUnseal(f *testing.F) {
	f.Add(seal([]byte("data")))
	f.Add([]byte(sealLabel))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if data, err := unseal(sealed); err == nil && !bytes.Equal(seal(data), sealed) {
			t.Errorf("%q was taken for a seal of %q", sealed, data)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	whole := entry{Deps: []dep{{"program.bpf.c", "00"}}, Absent: []string{"x.h"}, Warnings: []byte("w"), object: []byte("o\no")}
	f.Add(whole.encode())
	f.Add([]byte("{}\n"))
	f.Add([]byte("null\nx"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decodeEntry(data)
		if err != nil {
			return
		}
		again, err := decodeEntry(e.encode())
		if err != nil || !bytes.Equal(again.object, e.object) || len(again.Deps) != len(e.Deps) {
			t.Errorf("%q does not survive: %v", data, err)
		}
	})
}
