// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package procstat

import (
	"errors"
	"io/fs"
	"os"
	"testing"
)

func TestReadOfOddNames(t *testing.T) {
	dir := t.TempDir()
	stat := "12 (a) b ) c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4321 20 21\n"
	if err := os.WriteFile(dir+"/stat", []byte(stat), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(dir); err != nil || got != (Process{Parent: 1, Began: 43_210_000_000}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestReadAddresses(t *testing.T) {
	dir := t.TempDir()
	stat := "12 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4321 20 21 22 94000000000 24 140700000000 26\n"
	if err := os.WriteFile(dir+"/stat", []byte(stat), 0o600); err != nil {
		t.Fatal(err)
	}
	want := Process{Parent: 1, Began: 43_210_000_000, StartCode: 94000000000, StartStack: 140700000000}
	if got, err := Read(dir); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestReadOwnParent(t *testing.T) {
	if got, err := Read("/proc/self"); err != nil || got.Parent != os.Getppid() || got.Began <= 0 {
		t.Errorf("got %+v, %v, want the parent %d", got, err, os.Getppid())
	}
}

func TestReadRejects(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for _, stat := range []string{"", "12 (a) S 1 2", "12 (a) S x 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4321", "12 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x"} {
		if err := os.WriteFile(dir+"/stat", []byte(stat), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(dir); err == nil {
			t.Errorf("%q: %+v", stat, got)
		}
	}
}
