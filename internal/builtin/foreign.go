// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package builtin

import (
	"fmt"
	"io"

	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// Warn is told what a gadget.yaml names that does not exist, or that gizmo does not do yet; it is left
// out. A nil Warn stands for a strict check: names that do not exist are errors.
type Warn func(error)

// settle returns an error of package metadata unless it came with metadata that can be used, and w wants
// to know of it.
func (w Warn) settle(meta *metadata.Metadata, err error) error {
	if err == nil || meta == nil || w == nil {
		return err
	}
	w(err)
	return nil
}

// orReturn returns an error unless w wants to know of it.
func (w Warn) orReturn(err error) error {
	if err == nil || w == nil {
		return err
	}
	w(err)
	return nil
}

// ParseForeign analyses and checks an object, with the text of its gadget.yaml, which may be empty.
func ParseForeign(name string, object io.ReaderAt, yaml []byte, warn Warn) (*gadget.Image, error) {
	img, err := ParseUnchecked(name, object, yaml, warn)
	if err != nil {
		return nil, err
	}
	return Fit(img, warn)
}

// ParseUnchecked analyses an object without comparing it with its gadget.yaml.
func ParseUnchecked(name string, object io.ReaderAt, yaml []byte, warn Warn) (*gadget.Image, error) {
	return parse(name, object, yaml, warn)
}

// WithCustom returns the image with the metadata that the values of its custom params make, checked.
func WithCustom(img *gadget.Image, values map[string]string, warn Warn) (*gadget.Image, error) {
	meta, err := img.Metadata.WithCustom(values)
	if err := warn.settle(meta, err); err != nil {
		return nil, err
	}
	if img, err = img.WithMetadata(meta); err != nil {
		return nil, err
	}
	return Fit(img, warn)
}

// Fit returns the image without what its metadata says about things that it does not have.
func Fit(img *gadget.Image, warn Warn) (*gadget.Image, error) {
	known, err := knownOf(img)
	if err != nil {
		return nil, err
	}
	meta, err := img.Metadata.Fit(known)
	if err := warn.settle(meta, err); err != nil {
		return nil, fmt.Errorf("gadget %s: %w", img.Metadata.Name, err)
	}
	if err := warn.orReturn(checkContainers(img)); err != nil {
		return nil, fmt.Errorf("gadget %s: %w", img.Metadata.Name, err)
	}
	if warn != nil {
		for _, p := range img.Metadata.Pending(known) {
			warn(p)
		}
	}
	if meta == img.Metadata {
		return img, nil
	}
	return img.WithMetadata(meta)
}
