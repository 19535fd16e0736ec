// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
)

// Pack writes an image of a gadget for several architectures, by their Go names, and returns its index. The same contents and
// annotations make the same bytes.
func Pack(ctx context.Context, to content.Pusher, gadgets map[string]Gadget, annotations map[string]string) (ocispec.Descriptor, error) {
	index := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{}, Annotations: annotations,
	}
	for _, arch := range slices.Sorted(maps.Keys(gadgets)) {
		d, err := packManifest(ctx, to, gadgets[arch], annotations)
		if err != nil {
			return d, err
		}
		d.Platform = &ocispec.Platform{Architecture: arch, OS: "linux"}
		index.Manifests = append(index.Manifests, d)
	}
	d, err := pushJSON(ctx, to, ocispec.MediaTypeImageIndex, &index)
	d.Annotations = annotations
	return d, err
}

// packManifest writes what an image has for an architecture.
func packManifest(ctx context.Context, to content.Pusher, g Gadget, annotations map[string]string) (ocispec.Descriptor, error) {
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, ArtifactType: ArtifactType,
		Config: ocispec.DescriptorEmptyJSON, Layers: []ocispec.Descriptor{}, Annotations: annotations,
	}
	var err error
	if g.Metadata == nil {
		err = push(ctx, to, manifest.Config, manifest.Config.Data)
	} else if manifest.Config, err = pushBytes(ctx, to, ConfigType, g.Metadata); err == nil {
		manifest.Config.Annotations = annotations
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, layer := range []struct {
		mediaType string
		data      []byte
	}{{ObjectType, g.Object}, {WasmType, g.Wasm}, {BTFGenType, g.BTFGen}} {
		if layer.data == nil {
			continue
		}
		d, err := pushBytes(ctx, to, layer.mediaType, layer.data)
		if err != nil {
			return d, err
		}
		manifest.Layers = append(manifest.Layers, d)
	}
	d, err := pushJSON(ctx, to, ocispec.MediaTypeImageManifest, &manifest)
	d.Annotations = annotations
	return d, err
}

func pushJSON(ctx context.Context, to content.Pusher, mediaType string, value any) (ocispec.Descriptor, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("pack the image: %w", err)
	}
	return pushBytes(ctx, to, mediaType, data)
}

func pushBytes(ctx context.Context, to content.Pusher, mediaType string, data []byte) (ocispec.Descriptor, error) {
	d := content.NewDescriptorFromBytes(mediaType, data)
	return d, push(ctx, to, d, data)
}

// push writes a part, unless it is there.
func push(ctx context.Context, to content.Pusher, d ocispec.Descriptor, data []byte) error {
	err := to.Push(ctx, d, bytes.NewReader(data))
	if err != nil && !errors.Is(err, errdef.ErrAlreadyExists) {
		return fmt.Errorf("pack the image: %w", err)
	}
	return nil
}
