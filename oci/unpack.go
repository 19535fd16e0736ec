// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// Image is what one architecture's part of an image has.
type Image struct {
	Gadget
	// Index identifies the image, and Annotations are what it says about itself.
	Index       ocispec.Descriptor
	Annotations map[string]string
	// Manifest is the text of the architecture's manifest, which Config is a part of.
	Manifest []byte
	Config   ocispec.Descriptor
}

// Unpack reads what an image has for an architecture, by its Go name. Each part is checked against its digest. Warn is called with what gizmo ignores.
func Unpack(ctx context.Context, from content.Fetcher, index ocispec.Descriptor, arch string, warn func(error)) (*Image, error) {
	var all ocispec.Index
	if err := ReadIndex(ctx, from, index, &all); err != nil {
		return nil, err
	}
	var found []string
	for _, d := range all.Manifests {
		if d.Platform == nil || d.MediaType != ocispec.MediaTypeImageManifest {
			continue // signatures and attestations, for example
		}
		if d.Platform.Architecture == arch {
			img := &Image{Index: index}
			if err := img.unpack(ctx, from, d, warn); err != nil {
				return nil, err
			}
			return img, nil
		}
		found = append(found, d.Platform.Architecture)
	}
	if found == nil {
		return nil, fmt.Errorf("%w: its index names no architecture", ErrNoGadget)
	}
	slices.Sort(found)
	return nil, fmt.Errorf("%w for %s: it has those for %s", ErrNoGadget, arch, strings.Join(slices.Compact(found), ", "))
}

// ReadIndex reads the index of an image.
func ReadIndex(ctx context.Context, from content.Fetcher, index ocispec.Descriptor, into *ocispec.Index) error {
	if index.MediaType != ocispec.MediaTypeImageIndex {
		return fmt.Errorf("%w: it is not an image index, but %q", ErrNoGadget, index.MediaType)
	}
	_, err := readJSON(ctx, from, index, "index", into)
	return err
}

// unpack reads the manifest of an architecture, and what it refers to.
func (img *Image) unpack(ctx context.Context, from content.Fetcher, d ocispec.Descriptor, warn func(error)) (err error) {
	var m ocispec.Manifest
	if img.Manifest, err = readJSON(ctx, from, d, "manifest", &m); err != nil {
		return err
	}
	img.Config, img.Annotations = m.Config, m.Annotations
	switch {
	case m.Config.MediaType == ConfigType:
		if img.Metadata, err = read(ctx, from, m.Config, "gadget.yaml", maxConfig); err != nil {
			return err
		}
	case m.Config.MediaType == ocispec.MediaTypeEmptyJSON:
	default: // an image of a container, for example. Images of gadgets from before there was an ArtifactType have none.
		return fmt.Errorf("%w: its config is %q", ErrNoGadget, m.Config.MediaType)
	}
	for _, layer := range m.Layers {
		if err := img.addLayer(ctx, from, layer, warn); err != nil {
			return err
		}
	}
	return nil
}

// addLayer reads a layer.
func (g *Gadget) addLayer(ctx context.Context, from content.Fetcher, layer ocispec.Descriptor, warn func(error)) error {
	var into *[]byte
	switch layer.MediaType {
	case ObjectType:
		into = &g.Object
	case WasmType:
		into = &g.Wasm
	case BTFGenType:
		into = &g.BTFGen
	default:
		warn(fmt.Errorf("the image has a layer of a type that gizmo does not know, %q: it is ignored", layer.MediaType))
		return nil
	}
	if *into != nil {
		return fmt.Errorf("the image has two layers of the type %q", layer.MediaType)
	}
	data, err := read(ctx, from, layer, "layer", maxLayer)
	*into = data
	return err
}

// readJSON reads a part that is JSON, and returns its text.
func readJSON(ctx context.Context, from content.Fetcher, d ocispec.Descriptor, what string, into any) ([]byte, error) {
	data, err := read(ctx, from, d, what, MaxIndex)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return nil, fmt.Errorf("the %s of the image: %w", what, err)
	}
	return data, nil
}

// read reads a part of at most limit bytes.
func read(ctx context.Context, from content.Fetcher, d ocispec.Descriptor, what string, limit int64) ([]byte, error) {
	if d.Size < 0 || d.Size > limit {
		return nil, fmt.Errorf("the %s of the image has %d bytes; gizmo reads at most %d", what, d.Size, limit)
	}
	data, err := content.FetchAll(ctx, from, d)
	if err != nil {
		return nil, fmt.Errorf("the %s of the image, %s: %w", what, d.Digest, err)
	}
	return data, nil
}
