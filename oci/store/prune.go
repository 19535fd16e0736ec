// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
	"oras.land/oras-go/v2/content"
)

// Pruned is what was removed.
type Pruned struct {
	Files int
	Bytes int64
}

// ErrBusy is returned by Prune while another process adds an image, which has no name yet, or holds the parts of all.
var ErrBusy = errors.New("another process is using the store of images")

// Prune removes what no name holds: parts of images that have lost their names, signatures of these, and what processes that were killed have left behind.
func (s *Store) Prune(ctx context.Context) (Pruned, error) {
	unlock, err := s.lock(partsLock, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return Pruned{}, ErrBusy
	}
	if err != nil {
		return Pruned{}, err
	}
	defer unlock()
	held := make(map[digest.Digest]bool)
	err = s.change(func(all []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		s.removeUnfinished()
		return s.hold(ctx, all, held)
	})
	if err != nil {
		return Pruned{}, err
	}
	return s.sweep(held)
}

// hold returns the entries that stay, and notes all parts of theirs.
func (s *Store) hold(ctx context.Context, all []ocispec.Descriptor, held map[digest.Digest]bool) ([]ocispec.Descriptor, error) {
	var kept []ocispec.Descriptor
	for _, named := range []bool{true, false} { // first the images, then what belongs to them
		for i := range all {
			d := &all[i]
			if (nameOf(d) != "") != named || !named && !held[digest.Digest(d.Annotations[subjectAnnotation])] {
				continue
			}
			if err := s.holdParts(ctx, *d, held); err != nil {
				return nil, err
			}
			kept = append(kept, *d)
		}
	}
	return kept, nil
}

// holdParts notes an image and all its parts. Parts that are missing or damaged hold nothing.
func (s *Store) holdParts(ctx context.Context, root ocispec.Descriptor, held map[digest.Digest]bool) error {
	for queue := []ocispec.Descriptor{root}; len(queue) > 0; {
		d := queue[0]
		queue = queue[1:]
		if held[d.Digest] || d.Size > maxIndex && isNode(d) {
			continue
		}
		held[d.Digest] = true
		parts, err := content.Successors(ctx, s, d)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		queue = append(queue, parts...)
	}
	return nil
}

// removeUnfinished removes what is left of index.json where a process was killed while it wrote that. It is called with the lock.
func (s *Store) removeUnfinished() {
	names, _ := filepath.Glob(filepath.Join(s.folder.Path, tempPrefix+"*"))
	for _, name := range names {
		_ = os.Remove(name) // the next time then
	}
}

// isNode reports whether a part has parts.
func isNode(d ocispec.Descriptor) bool {
	return slices.Contains([]string{ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest}, d.MediaType)
}

// sweep removes the files that are not held.
func (s *Store) sweep(held map[digest.Digest]bool) (p Pruned, err error) {
	remove := func(path string, entry fs.DirEntry) {
		st, statErr := entry.Info()
		if removeErr := os.Remove(path); removeErr != nil {
			err = errors.Join(err, fmt.Errorf("prune the store of images: %w", removeErr))
			return
		}
		p.Files++
		if statErr == nil {
			p.Bytes += st.Size()
		}
	}
	each := func(dir string, do func(path string, entry fs.DirEntry)) {
		entries, readErr := os.ReadDir(dir)
		if readErr != nil && !errors.Is(readErr, fs.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("prune the store of images: %w", readErr))
		}
		for _, entry := range entries {
			do(filepath.Join(dir, entry.Name()), entry)
		}
	}
	each(filepath.Join(s.folder.Path, ocispec.ImageBlobsDir), func(dir string, algorithm fs.DirEntry) {
		each(dir, func(path string, entry fs.DirEntry) {
			if !held[digest.NewDigestFromEncoded(digest.Algorithm(algorithm.Name()), entry.Name())] {
				remove(path, entry)
			}
		})
	})
	each(filepath.Join(s.folder.Path, "ingest"), remove)
	return p, err
}
