// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/oci/store"
)

// Export writes images of a store, with what belongs to them, as a tar file. The same images make the same bytes.
func Export(ctx context.Context, from *store.Store, images []store.Image, to io.Writer) error {
	var entries []ocispec.Descriptor
	parts := make(map[digest.Digest]ocispec.Descriptor)
	for _, image := range images {
		entry := image.Descriptor
		entry.Annotations = maps.Clone(entry.Annotations)
		delete(entry.Annotations, store.BuiltAnnotation) // which is about this machine
		if entry.Annotations == nil {
			entry.Annotations = make(map[string]string)
		}
		entry.Annotations[ocispec.AnnotationRefName] = image.Name
		attached, err := from.Attached(image.Descriptor)
		if err != nil {
			return err
		}
		entries = append(entries, entry)
		for _, d := range attached {
			entries = append(entries, attachedEntry(d, image.Descriptor))
		}
		for _, root := range append(attached, image.Descriptor) {
			if err := gather(ctx, from, root, parts); err != nil {
				return fmt.Errorf("export %s: %w", image.Name, err)
			}
		}
	}
	slices.SortStableFunc(entries, func(a, b ocispec.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
	entries = slices.CompactFunc(entries, func(a, b ocispec.Descriptor) bool {
		return a.Digest == b.Digest && a.Annotations[ocispec.AnnotationRefName] == b.Annotations[ocispec.AnnotationRefName]
	})
	return write(ctx, from, entries, parts, to)
}

// attachedEntry returns the entry of what belongs to an image: cosign's signature has the name that cosign gives it; what refers to the image has none.
func attachedEntry(d, image ocispec.Descriptor) ocispec.Descriptor {
	entry := ocispec.Descriptor{MediaType: d.MediaType, ArtifactType: d.ArtifactType, Digest: d.Digest, Size: d.Size}
	if d.ArtifactType == "" {
		entry.Annotations = map[string]string{ocispec.AnnotationRefName: oci.SignatureTag(image)}
	}
	return entry
}

// gather finds all parts of an image.
func gather(ctx context.Context, from content.Fetcher, root ocispec.Descriptor, parts map[digest.Digest]ocispec.Descriptor) error {
	for queue := []ocispec.Descriptor{root}; len(queue) > 0; {
		d := queue[0]
		queue = queue[1:]
		if _, known := parts[d.Digest]; known {
			continue
		}
		parts[d.Digest] = d
		next, err := content.Successors(ctx, from, d)
		if err != nil {
			return err
		}
		queue = append(queue, next...)
	}
	return nil
}

// write writes the tar file: the parts in the order of their digests, then what names them.
func write(ctx context.Context, from content.Fetcher, entries []ocispec.Descriptor, parts map[digest.Digest]ocispec.Descriptor, to io.Writer) error {
	w := tar.NewWriter(to)
	file := func(name string, data []byte) error {
		// Without a time, an owner and other things that differ from machine to machine.
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o444, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		_, err := w.Write(data)
		return err
	}
	for _, sum := range slices.Sorted(maps.Keys(parts)) {
		data, err := content.FetchAll(ctx, from, parts[sum])
		if err != nil {
			return fmt.Errorf("export %s: %w", sum, err)
		}
		if err := file(ocispec.ImageBlobsDir+"/"+sum.Algorithm().String()+"/"+sum.Encoded(), data); err != nil {
			return err
		}
	}
	index, err := json.Marshal(&ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: entries})
	if err != nil {
		return err
	}
	if err := file(ocispec.ImageIndexFile, index); err != nil {
		return err
	}
	layout, err := json.Marshal(&ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return err
	}
	if err := file(ocispec.ImageLayoutFile, layout); err != nil {
		return err
	}
	return w.Close()
}
