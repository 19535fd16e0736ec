// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// create makes a network namespace that lasts as long as the test, and returns its path.
func create(t *testing.T) string {
	t.Helper()
	kerneltest.RequireRoot(t)
	return kerneltest.NewNetwork(t)
}

func open(t *testing.T, path string) *Namespace {
	t.Helper()
	n, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func TestDoIsElsewhere(t *testing.T) {
	t.Parallel()
	here, there := open(t, Own), open(t, create(t))
	if here.ID == there.ID {
		t.Fatal("the new namespace is the old one")
	}
	for range 50 { // on whichever thread
		var inside uint64
		if err := there.Do(func() error {
			inside = open(t, Own).ID
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if inside != there.ID {
			t.Errorf("in namespace %d, want %d", inside, there.ID)
		}
	}
	// All threads are back.
	tasks, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil || len(tasks) == 0 {
		t.Fatal(tasks, err)
	}
	strange := 0
	for _, path := range tasks {
		if n, err := Open(path); err == nil {
			if n.ID == there.ID {
				strange++
			}
			n.Close()
		}
	}
	if strange != 1 { // the one that holds it
		t.Errorf("%d threads are in the other namespace, want 1", strange)
	}
}

func TestDoReturnsErrors(t *testing.T) {
	t.Parallel()
	want := errors.New("inside")
	if err := open(t, create(t)).Do(func() error { return want }); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
	for _, path := range []string{"/proc/self/ns/mnt", "/proc/self/exe", "/dev/null", "/"} {
		if _, err := Open(path); err == nil || err.Error() != path+" is not a network namespace" {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Open("/proc/self/ns/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
}

func TestRunningFindsEachOnce(t *testing.T) {
	t.Parallel()
	paths, err := Running()
	if err != nil {
		t.Fatal(err)
	}
	var ids []uint64
	for _, path := range paths {
		if n, err := Open(path); err == nil { // else it has ended
			ids = append(ids, n.ID)
			n.Close()
		}
	}
	if !slices.Contains(ids, open(t, Own).ID) {
		t.Errorf("%v lack the own", ids)
	}
	slices.Sort(ids)
	if len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("%v: one is there twice", ids)
	}
}
