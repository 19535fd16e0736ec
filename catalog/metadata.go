// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"io"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// parse analyses an object with the text of its gadget.yaml, which may be empty. Metadata about things
// that do not exist is an error, or, with warn set, a warning. An event that could belong to two containers is always an error.
func parse(name string, object io.ReaderAt, yaml []byte, warn func(error)) (*image.Image, error) {
	meta, err := metadata.Parse("gadget.yaml", yaml)
	if err := warnInstead(warn, meta, err); err != nil {
		return nil, fmt.Errorf("gadget %s: %w", name, err)
	}
	img, err := image.Parse(object, meta)
	if err != nil {
		return nil, fmt.Errorf("gadget %s: %w", name, err)
	}
	if img.Metadata.Name == "" {
		img.Metadata.Name = name
	}
	if err := checkContainers(img); err != nil {
		return nil, fmt.Errorf("gadget %s: %w", img.Metadata.Name, err)
	}
	return img, nil
}

// warnInstead returns an error about metadata. If the rest of the metadata can be used, and warn is set, it calls warn with
// the error instead.
func warnInstead(warn func(error), meta *metadata.Metadata, err error) error {
	if err == nil || meta == nil || warn == nil {
		return err
	}
	warn(err)
	return nil
}

// fit returns the image without metadata about things that it does not have.
func fit(img *image.Image, warn func(error)) (*image.Image, error) {
	known, err := knownOf(img)
	if err != nil {
		return nil, err
	}
	meta, err := img.Metadata.Fit(known)
	if err := warnInstead(warn, meta, err); err != nil {
		return nil, fmt.Errorf("gadget %s: %w", img.Metadata.Name, err)
	}
	if warn != nil {
		for _, p := range img.Metadata.Pending() {
			warn(p)
		}
	}
	if meta == img.Metadata {
		return img, nil
	}
	return img.WithMetadata(meta)
}
