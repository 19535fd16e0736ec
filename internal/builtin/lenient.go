// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package builtin

import (
	"fmt"
	"io"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// Warn is told what is wrong with the metadata of an image that was built elsewhere, perhaps for another
// version of gizmo, if that is only names that do not exist here: what they say is left out. A nil Warn is
// for images that are built here. For these, such names are errors.
type Warn func(error)

// reportUnknown returns an error of package metadata unless it came with metadata that can be used, and w wants
// to know of it.
func (w Warn) reportUnknown(meta *metadata.Metadata, err error) error {
	if err == nil || meta == nil || w == nil {
		return err
	}
	w(err)
	return nil
}

// ParseLenient analyses and checks an object that was built elsewhere, with the text of its gadget.yaml,
// which may be empty.
func ParseLenient(name string, object io.ReaderAt, yaml []byte, warn Warn) (*image.Image, error) {
	img, err := parse(name, object, yaml, warn)
	if err != nil {
		return nil, err
	}
	return withoutUnknown(img, warn)
}

// WithCustom returns the image with the metadata that the values of its custom params make, checked.
func WithCustom(img *image.Image, values map[string]string, warn Warn) (*image.Image, error) {
	meta, err := img.Metadata.WithCustom(values)
	if err := warn.reportUnknown(meta, err); err != nil {
		return nil, err
	}
	if img, err = img.WithMetadata(meta); err != nil {
		return nil, err
	}
	return withoutUnknown(img, warn)
}

// withoutUnknown returns the image without what its metadata says about things that it does not have.
func withoutUnknown(img *image.Image, warn Warn) (*image.Image, error) {
	known, err := knownOf(img)
	if err != nil {
		return nil, err
	}
	meta, err := img.Metadata.Fit(known)
	if err == nil {
		return img, nil
	}
	if err := warn.reportUnknown(meta, err); err != nil {
		return nil, fmt.Errorf("gadget %s: %w", img.Metadata.Name, err)
	}
	return img.WithMetadata(meta)
}
