// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCachePrunes(t *testing.T) {
	t.Parallel()
	c := testCache(t)
	path := func(name string) string { return filepath.Join(c.folder.Path, objectKind, name) }
	then := time.Now().Add(-48 * time.Hour)
	for i := range 8 {
		key := fmt.Sprint("key", i)
		c.save(objectKind, key, []byte(key), 100)
		if err := os.Chtimes(path(key), then, then.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	crashed, running := path(tempPrefix+"crashed"), path(tempPrefix+"running")
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
	entries, _ := os.ReadDir(path(""))
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
	home, system := t.TempDir(), filepath.Join(t.TempDir(), "system")
	expect := func(what, want string) {
		t.Helper()
		folder, err := openDefault(system, logTo(nil))
		if err != nil && want != "" {
			t.Errorf("%s: %v; want %s", what, err, want)
		}
		if err != nil {
			return
		}
		defer folder.Close()
		if folder.Path != want {
			t.Errorf("%s: %s; want %s", what, folder.Path, want)
		}
	}
	private := "" // for users other than root, only the home is surely private
	if os.Geteuid() == 0 {
		private = system
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", home)
	expect("with a home", home+"/.cache/gizmo")
	t.Setenv("XDG_CACHE_HOME", home+"/xdg")
	expect("with a cache folder", home+"/xdg/gizmo")
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	expect("without a home", private)
	expect("again", private)
	t.Setenv("HOME", "/proc/1/nowhere")
	expect("a home that cannot be", private)
	open := t.TempDir()
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", open)
	expect("a home that others can write to", private)
	if left, _ := os.ReadDir(open); len(left) > 0 {
		t.Errorf("left in it: %v", left)
	}
	t.Setenv("HOME", home)
	if err := os.Chmod(home+"/.cache/gizmo", 0o770); err != nil {
		t.Fatal(err)
	}
	expect("a cache that others can write to", private)
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chmod(system, 0o777); err != nil {
		t.Fatal(err)
	}
	if folder, err := openDefault(system, logTo(nil)); err == nil || !strings.Contains(err.Error(), home) || !strings.Contains(err.Error(), system) {
		t.Errorf("both can be written to by others: %v, %v", folder, err)
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
