// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"

	gizmo "github.com/gizmo-ebpf/gizmo/oci"
)

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// add adds an image whose object is a text.
func add(t testing.TB, s *Store, name, object string) ocispec.Descriptor {
	t.Helper()
	d, err := s.Add(t.Context(), name, func() (ocispec.Descriptor, error) {
		gadgets := map[string]gizmo.Gadget{"amd64": {Object: []byte(object)}, "arm64": {Object: []byte(object + " arm64")}}
		return gizmo.Pack(t.Context(), s, gadgets, map[string]string{ocispec.AnnotationCreated: "2026-01-02T03:04:05Z"})
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// object returns the text of an image.
func object(t testing.TB, s *Store, name string) string {
	t.Helper()
	d, err := s.Resolve(name)
	if err != nil {
		return err.Error()
	}
	img, err := gizmo.Unpack(t.Context(), s, d, "amd64", func(err error) { t.Error(err) })
	if err != nil {
		return err.Error()
	}
	return string(img.Object)
}

// files returns the names of the store's files.
func files(t testing.TB, s *Store) (names []string) {
	t.Helper()
	err := filepath.WalkDir(s.folder.Path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(s.folder.Path, path)
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestNames(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "a", "store"))
	if images, err := s.Images(); len(images) != 0 || err != nil {
		t.Errorf("a new store has %v, %v", images, err)
	}
	first := add(t, s, "r/a:1", "one")
	add(t, s, "r/b:1", "two")
	if err := s.Tag(t.Context(), "r/a:2", first); err != nil {
		t.Fatal(err)
	}
	add(t, s, "r/b:1", "three") // takes the name
	for name, want := range map[string]string{"r/a:1": "one", "r/a:2": "one", "r/b:1": "three", "r/a": "the image is not in the store: r/a"} {
		if got := object(t, s, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if d, err := s.ResolveDigest(first.Digest); err != nil || d.Digest != first.Digest {
		t.Errorf("by digest: %v, %v", d, err)
	}
	images, err := s.Images()
	var names []string
	for _, image := range images {
		names = append(names, image.Name)
		if image.Descriptor.Annotations[ocispec.AnnotationCreated] != "2026-01-02T03:04:05Z" {
			t.Errorf("%s: annotations %v", image.Name, image.Descriptor.Annotations)
		}
	}
	if want := []string{"r/a:1", "r/a:2", "r/b:1"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("images %q, %v; want %q", names, err, want)
	}
	if err := s.Remove("r/a:1"); err != nil || object(t, s, "r/a:2") != "one" {
		t.Errorf("remove: %v", err)
	}
	if err := s.Remove("r/a:1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("remove again: %v", err)
	}
}

// What no name holds is removed, and nothing else.
func TestPrune(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	kept, lost := add(t, s, "kept", "kept"), add(t, s, "lost", "lost")
	for i, subject := range []ocispec.Descriptor{kept, lost} {
		data := fmt.Appendf(nil, `{"schemaVersion":2,"artifactType":"signature","subject":{},"layers":[],"n":%d}`, i)
		d := content.NewDescriptorFromBytes(ocispec.MediaTypeImageManifest, data)
		if err := errors.Join(s.Push(t.Context(), d, bytes.NewReader(data)), s.Attach(t.Context(), d, subject)); err != nil {
			t.Fatal(err)
		}
	}
	before := files(t, s)
	if p, err := s.Prune(t.Context()); err != nil || p.Files != 0 || !slices.Equal(files(t, s), before) {
		t.Errorf("all is held, and it removed %+v, %v", p, err)
	}
	if err := s.Remove("lost"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".new-0123", "ingest/half"} { // of processes that were killed
		path := filepath.Join(s.folder.Path, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("half"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := s.Prune(t.Context())
	if err != nil || p.Files != 5+1+1 || p.Bytes == 0 { // the index, two manifests, two objects, the signature, the unfinished part
		t.Errorf("removed %+v, %v", p, err)
	}
	if got := object(t, s, "kept"); got != "kept" {
		t.Errorf("the other image: %s", got)
	}
	attached, err := s.Attached(kept)
	if err != nil || len(attached) != 1 || attached[0].ArtifactType != "signature" {
		t.Errorf("attached %+v, %v", attached, err)
	}
	if attached, err := s.Attached(lost); err != nil || len(attached) != 0 {
		t.Errorf("attached to the image that is gone: %+v, %v", attached, err)
	}
	for _, name := range files(t, s) {
		if strings.HasPrefix(name, ".new-") || strings.HasPrefix(name, "ingest/") {
			t.Errorf("%s is left", name)
		}
	}
}

// prune prunes a store that nobody uses. A process that another test starts in this moment has the lock until it executes its program.
func prune(t *testing.T, s *Store) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		_, err := s.Prune(t.Context())
		if err == nil {
			return
		}
		if !errors.Is(err, ErrBusy) || time.Now().After(deadline) {
			t.Fatalf("prune: %v", err)
		}
	}
}

// An image that is being added keeps its parts.
func TestPruneWhileAdding(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, other := open(t, dir), open(t, dir)
	_, err := s.Add(t.Context(), "a", func() (ocispec.Descriptor, error) {
		d, err := gizmo.Pack(t.Context(), s, map[string]gizmo.Gadget{"amd64": {Object: []byte("x")}}, nil)
		if _, pruneErr := other.Prune(t.Context()); !errors.Is(pruneErr, ErrBusy) {
			t.Errorf("prune: %v", pruneErr)
		}
		return d, err
	})
	if err != nil || object(t, s, "a") != "x" {
		t.Errorf("%v: %s", err, object(t, s, "a"))
	}
	if _, err := s.Add(t.Context(), "b", func() (ocispec.Descriptor, error) { return ocispec.Descriptor{}, errors.New("full") }); err == nil || err.Error() != "full" {
		t.Errorf("error %v", err)
	}
	prune(t, other)
}

// A part that lost its end with a failure of power is written again, and one with other bytes is an error.
func TestDamage(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	add(t, s, "a", "some object")
	var path string
	for _, name := range files(t, s) {
		if data, _ := os.ReadFile(filepath.Join(s.folder.Path, name)); string(data) == "some object" {
			path = filepath.Join(s.folder.Path, name)
		}
	}
	write := func(text string) {
		if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte(text), 0o400)); err != nil {
			t.Fatal(err)
		}
	}
	write("some abject")
	if got := object(t, s, "a"); !strings.Contains(got, "mismatch") {
		t.Errorf("got %q", got)
	}
	write("")
	if got := object(t, s, "a"); !strings.Contains(got, "the layer of the image, sha256:") {
		t.Errorf("got %q", got)
	}
	add(t, s, "a", "some object")
	if got := object(t, s, "a"); got != "some object" {
		t.Errorf("got %q", got)
	}
}

// Other programs read the store, and write it.
func TestOtherPrograms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	d := add(t, s, "r/a:1", "one")
	others, err := oci.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := others.Resolve(t.Context(), "r/a:1"); err != nil || got.Digest != d.Digest {
		t.Errorf("got %v, %v", got, err)
	}
	if err := others.Tag(t.Context(), d, "r/b:1"); err != nil {
		t.Fatal(err)
	}
	if got := object(t, s, "r/b:1"); got != "one" {
		t.Errorf("got %q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Tag(t.Context(), "x", d); err == nil || !strings.Contains(err.Error(), "index.json") {
		t.Errorf("a broken index.json: %v", err)
	}
}

// Other users must not be able to change what the kernel runs.
func TestUnsafeFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "open the store of images: ") {
		t.Errorf("error %v", err)
	}
}

// Images that several writers add at the same time are all there.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var writers sync.WaitGroup
	for i := range 4 {
		s := open(t, dir)
		writers.Go(func() {
			for j := range 20 {
				add(t, s, fmt.Sprintf("r/%d:%d", i, j), fmt.Sprint(i, j))
				if _, err := s.Prune(t.Context()); err != nil && !errors.Is(err, ErrBusy) {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	s := open(t, dir)
	for i := range 4 {
		for j := range 20 {
			if got := object(t, s, fmt.Sprintf("r/%d:%d", i, j)); got != fmt.Sprint(i, j) {
				t.Errorf("%d, %d: %q", i, j, got)
			}
		}
	}
}

// A writer that is killed at any time leaves a store that works. It does not run beside other tests, whose locks the processes that it starts would have
// for a moment.
func TestKilledWriter(t *testing.T) {
	const isWriter = "GIZMO_TEST_STORE"
	if dir := os.Getenv(isWriter); dir != "" {
		s := open(t, dir)
		for i := 0; ; i++ {
			add(t, s, fmt.Sprintf("r/x:%d", i%5), fmt.Sprint(i))
			_, _ = s.Prune(context.Background())
		}
	}
	dir := t.TempDir()
	for i := range 20 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$")
		cmd.Env = append(os.Environ(), isWriter+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(20+i*3) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		s := open(t, dir)
		images, err := s.Images()
		if err != nil {
			t.Fatal(err)
		}
		for _, image := range images {
			if got := object(t, s, image.Name); strings.Trim(got, "0123456789") != "" {
				t.Errorf("%s: %s", image.Name, got)
			}
		}
		prune(t, s)
	}
}

// BenchmarkResolve finds one of 1,000 images and reads it.
func BenchmarkResolve(b *testing.B) {
	s := open(b, b.TempDir())
	for i := range 1000 {
		add(b, s, fmt.Sprintf("ghcr.io/inspektor-gadget/gadget/trace_%d:latest", i), fmt.Sprint(i))
	}
	for b.Loop() {
		if got := object(b, s, "ghcr.io/inspektor-gadget/gadget/trace_500:latest"); got != "500" {
			b.Fatal(got)
		}
	}
}
