// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package dents

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEach(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := []string{". 4", ".. 4", "folder 4"}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		name := fmt.Sprintf("file-%0*d", i%200+1, i)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		want = append(want, name+" 8")
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	slices.Sort(want)
	buf := make([]byte, 1024)
	for range 2 { // it begins anew
		var got []string
		err := Each(fd, buf, func(name []byte, typ uint8) bool {
			got = append(got, fmt.Sprint(string(name), " ", typ))
			return true
		})
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v: got %d entries, want %d", err, len(got), len(want))
		}
	}
	n := 0
	if err := Each(fd, buf, func([]byte, uint8) bool { n++; return n < 5 }); err != nil || n != 5 {
		t.Errorf("%d entries, %v", n, err)
	}
	if err := Each(-1, buf, nil); err == nil {
		t.Error("no error for no folder")
	}
}
