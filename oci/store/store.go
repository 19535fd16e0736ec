// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package store keeps images on this machine, in an OCI layout.
//
// Several processes may use a store at once, and any of them may be killed at any time: a file appears with its last byte, and index.json names an image once
// all of its files are there. What no name holds is removed by [Store.Prune].
package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"

	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

// ErrNotFound is wrapped by the error about an image that the store does not have.
var ErrNotFound = errors.New("the image is not in the store")

// Store is an open store. It is a [content.Storage] for the parts of images.
type Store struct {
	folder *safefile.Folder
	blobs  *oci.Storage
}

// dirVariable is the environment variable that names another folder for the store.
const dirVariable = "GIZMO_OCI_STORE"

// Dir returns the folder of this user's store: what $GIZMO_OCI_STORE says, or for root /var/lib/gizmo/oci-store, for others one among their own data.
func Dir() (string, error) {
	if dir := os.Getenv(dirVariable); dir != "" {
		return dir, nil
	}
	if os.Geteuid() == 0 {
		return "/var/lib/gizmo/oci-store", nil
	}
	if data := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "gizmo", "oci-store"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the store of images: %w", err)
	}
	return filepath.Join(home, ".local", "share", "gizmo", "oci-store"), nil
}

// Open opens the store in a folder, which it makes if it is not there. Only this user and root may be able to change the folder, because the kernel
// runs what is in it.
func Open(dir string) (*Store, error) {
	folder, err := safefile.PrivateFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("open the store of images: %w", err)
	}
	blobs, err := oci.NewStorage(folder.Path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the store of images: %w", err), folder.Close())
	}
	return &Store{folder, blobs}, nil
}

// Close closes the store.
func (s *Store) Close() error { return s.folder.Close() }

// Exists implements content.Storage. A part that is shorter than it should be, as after a power failure, is not there.
func (s *Store) Exists(_ context.Context, d ocispec.Descriptor) (bool, error) {
	if err := d.Digest.Validate(); err != nil {
		return false, err
	}
	st, err := os.Stat(s.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && st.Size() == d.Size, err
}

// Fetch implements content.Storage.
func (s *Store) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	return s.blobs.Fetch(ctx, d)
}

// Push implements content.Storage. It checks the digest.
func (s *Store) Push(ctx context.Context, d ocispec.Descriptor, from io.Reader) error {
	exists, err := s.Exists(ctx, d)
	if err == nil && !exists { // it may be there, and damaged
		if err = os.Remove(s.path(d)); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	return s.blobs.Push(ctx, d, from)
}

func (s *Store) path(d ocispec.Descriptor) string {
	return filepath.Join(s.folder.Path, ocispec.ImageBlobsDir, d.Digest.Algorithm().String(), d.Digest.Encoded())
}

// Hold keeps all parts in the store until release is called, whatever other processes do meanwhile. So a caller that then resolves
// a name can read the image.
func (s *Store) Hold() (release func(), err error) { return s.lock(partsLock, unix.LOCK_SH) }

// Add lets fill write the parts of an image, and then gives it a name, which another image may have had. The parts stay, whatever other processes do
// meanwhile.
func (s *Store) Add(ctx context.Context, name string, fill func() (ocispec.Descriptor, error)) (ocispec.Descriptor, error) {
	release, err := s.Hold()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer release()
	d, err := fill()
	if err != nil {
		return d, err
	}
	return d, s.Tag(ctx, name, d)
}

// BuiltAnnotation is the annotation of images that were built on this machine. Whoever tags an image that comes from elsewhere leaves it out.
const BuiltAnnotation = "io.gizmo.built"

// Tag gives an image that is in the store a name, which another image may have had.
func (s *Store) Tag(ctx context.Context, name string, d ocispec.Descriptor) error {
	entry := entryOf(d)
	if created := s.created(ctx, d); created != "" {
		entry.Annotations[ocispec.AnnotationCreated] = created
	}
	if d.Annotations[BuiltAnnotation] != "" {
		entry.Annotations[BuiltAnnotation] = d.Annotations[BuiltAnnotation]
	}
	entry.Annotations[ocispec.AnnotationRefName] = name
	return s.change(func(all []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		return append(slices.DeleteFunc(all, func(old ocispec.Descriptor) bool { return nameOf(&old) == name }), entry), nil
	})
}

// created returns when an image was made, for lists; empty if it does not say so.
func (s *Store) created(ctx context.Context, d ocispec.Descriptor) string {
	var index ocispec.Index
	if d.Size > maxManifest {
		return ""
	}
	data, err := content.FetchAll(ctx, s, d)
	if err != nil || json.Unmarshal(data, &index) != nil {
		return "" // who reads the image says what is wrong with it
	}
	return index.Annotations[ocispec.AnnotationCreated]
}

// Attach notes that a manifest in the store, such as a signature, belongs to an image. It stays as long as the image. Its entry has an ArtifactType if the
// manifest itself refers to an image; of those that do not, an image has one, the last.
func (s *Store) Attach(ctx context.Context, d, subject ocispec.Descriptor) error {
	entry := entryOf(d)
	var err error
	if entry.ArtifactType, err = s.artifactType(ctx, d); err != nil {
		return err
	}
	entry.Annotations[subjectAnnotation] = subject.Digest.String()
	return s.change(func(all []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		replaced := func(old ocispec.Descriptor) bool {
			// A repository has one tag for signatures of an image that do not refer to it.
			isOther := entry.ArtifactType == "" && old.ArtifactType == "" && old.Annotations[subjectAnnotation] == entry.Annotations[subjectAnnotation]
			return nameOf(&old) == "" && (old.Digest == d.Digest || isOther)
		}
		return append(slices.DeleteFunc(all, replaced), entry), nil
	})
}

// artifactType returns what a manifest that refers to an image is; empty for one that does not.
func (s *Store) artifactType(ctx context.Context, d ocispec.Descriptor) (string, error) {
	if d.MediaType != ocispec.MediaTypeImageManifest {
		return "", nil
	}
	if d.Size > maxManifest {
		return "", fmt.Errorf("the manifest %s has %d bytes; gizmo reads at most %d", d.Digest, d.Size, maxManifest)
	}
	data, err := content.FetchAll(ctx, s, d)
	if err != nil {
		return "", err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil || m.Subject == nil {
		return "", err
	}
	return cmp.Or(m.ArtifactType, m.Config.MediaType), nil
}

// maxManifest is how large an index or a manifest may be, in bytes.
const maxManifest = 4 << 20

// Attached returns the manifests that belong to an image.
func (s *Store) Attached(subject ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	all, err := s.entries()
	return slices.DeleteFunc(all, func(d ocispec.Descriptor) bool { return d.Annotations[subjectAnnotation] != subject.Digest.String() }), err
}

// Remove takes a name from an image.
func (s *Store) Remove(name string) error {
	return s.change(func(all []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		rest := slices.DeleteFunc(slices.Clone(all), func(d ocispec.Descriptor) bool { return nameOf(&d) == name })
		if len(rest) == len(all) {
			return nil, fmt.Errorf("%w: %s", ErrNotFound, name)
		}
		return rest, nil
	})
}

// The locks: index.json.lock for a change of index.json, and parts.lock for parts that no name holds yet or any more and that
// somebody uses: Prune would remove them.
const (
	indexLock = "index.json.lock"
	partsLock = "parts.lock"
)

// lock takes a lock, which ends with the process.
func (s *Store) lock(name string, how int) (unlock func(), err error) {
	f, err := s.folder.Root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the store of images: %w", err)
	}
	for {
		if err = unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the store of images: %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}
