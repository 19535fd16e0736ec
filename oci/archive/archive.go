// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package archive reads images from OCI layouts, which are folders or tar files, and writes such files.
package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	oras "oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"

	gizmo "github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/oci/store"
)

// maxIndex is how large index.json may be, in bytes.
const maxIndex = 64 << 20

// Archive is a folder or a tar file with images.
type Archive struct{ *oci.ReadOnlyStore }

// IsArchive reports whether a path is that of a folder with an OCI layout, or of a tar file.
func IsArchive(path string) bool {
	if _, err := os.Stat(filepath.Join(path, ocispec.ImageLayoutFile)); err == nil {
		return true
	}
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = tar.NewReader(f).Next()
	return err == nil
}

// Open opens an OCI layout. It writes nothing: not even the names in a tar file matter, which may lead anywhere.
func Open(ctx context.Context, name string) (*Archive, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	var all *oci.ReadOnlyStore
	if st.IsDir() {
		if err = checkIndex(os.Stat(filepath.Join(name, ocispec.ImageIndexFile))); err == nil {
			all, err = oci.NewFromFS(ctx, os.DirFS(name))
		}
	} else if err = checkTar(name); err == nil {
		all, err = oci.NewFromTar(ctx, name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not an OCI layout: %w", name, err)
	}
	return &Archive{all}, nil
}

// checkIndex returns an error if index.json is larger than any real one.
func checkIndex(st os.FileInfo, err error) error {
	if err == nil && st.Size() > maxIndex {
		return fmt.Errorf("%s has %d bytes; gizmo reads at most %d", ocispec.ImageIndexFile, st.Size(), maxIndex)
	}
	return err
}

// checkTar does the same for a tar file.
func checkTar(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if path.Clean(header.Name) == ocispec.ImageIndexFile {
			if err := checkIndex(header.FileInfo(), nil); err != nil {
				return err
			}
		}
	}
}

// signatureSuffix ends the names of cosign's signatures, which are images in the same layout.
const signatureSuffix = ".sig"

// Images returns the images that have a name, and are no signatures.
func (a *Archive) Images(ctx context.Context) ([]store.Image, error) {
	var images []store.Image
	err := a.Tags(ctx, "", func(names []string) error {
		for _, name := range names {
			if strings.HasSuffix(name, signatureSuffix) {
				continue
			}
			d, err := a.Resolve(ctx, name)
			if err != nil {
				return err
			}
			images = append(images, store.Image{Name: name, Descriptor: d})
		}
		return nil
	})
	return images, err
}

// Attached returns what belongs to an image: signatures under the name that cosign makes of its digest, and manifests that refer to it.
func (a *Archive) Attached(ctx context.Context, image ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	attached, err := a.Predecessors(ctx, image)
	if err != nil {
		return nil, err
	}
	if d, err := a.Resolve(ctx, gizmo.SignatureTag(image)); err == nil {
		attached = append(attached, d)
	}
	return attached, nil
}

// Import copies the images and what belongs to them to the store, and returns their names.
func (a *Archive) Import(ctx context.Context, to *store.Store, complete func(name string) (string, error)) ([]string, error) {
	images, err := a.Images(ctx)
	if err != nil {
		return nil, err
	}
	if len(images) == 0 {
		return nil, errors.New("there is no image with a name")
	}
	var names []string
	for _, image := range images {
		name, err := complete(image.Name)
		if err != nil {
			return names, err
		}
		if err := a.importImage(ctx, to, name, image.Descriptor); err != nil {
			return names, fmt.Errorf("import %s: %w", name, err)
		}
		names = append(names, name)
	}
	return names, nil
}

func (a *Archive) importImage(ctx context.Context, to *store.Store, name string, image ocispec.Descriptor) error {
	options := gizmo.CopyOptions()
	_, err := to.Add(ctx, name, func() (ocispec.Descriptor, error) {
		if err := oras.CopyGraph(ctx, a, to, image, options); err != nil {
			return image, err
		}
		attached, err := a.Attached(ctx, image)
		if err != nil {
			return image, err
		}
		for _, d := range attached {
			if err := oras.CopyGraph(ctx, a, to, d, options); err != nil {
				return image, err
			}
			if err := to.Attach(ctx, d, image); err != nil {
				return image, err
			}
		}
		image.Annotations = nil // others' annotations say nothing about this machine
		return image, nil
	})
	return err
}
