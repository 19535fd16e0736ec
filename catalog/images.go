// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/oci/archive"
)

// isPath reports whether a name can only be a path.
func isPath(name string) bool {
	return filepath.IsAbs(name) || strings.HasPrefix(name, ".") || strings.HasSuffix(name, string(filepath.Separator))
}

// otherwise looks for an image with a name that is nothing else, and says so if there is none.
func (c *Catalog) otherwise(ctx context.Context, name string, nothingElse error) (*Gadget, error) {
	// Who mistypes the name of a built-in gadget must not wait for a registry.
	if c.Images == nil || nearest.Hint(name, Names()) != "" {
		return nil, nothingElse
	}
	g, err := c.named(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("%w, and no image: %w", nothingElse, err)
	}
	return g, nil
}

// named returns the gadget of an image.
func (c *Catalog) named(ctx context.Context, name string) (*Gadget, error) {
	img, err := c.Images(ctx, name)
	if err != nil {
		return nil, err
	}
	return c.ofImage(name, img)
}

// archive returns the gadget of an image in an OCI layout, which must have one image only.
func (c *Catalog) archive(ctx context.Context, path string) (*Gadget, error) {
	a, err := archive.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	images, err := a.Images(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(images) != 1 {
		var names []string
		for _, image := range images {
			names = append(names, image.Name)
		}
		return nil, fmt.Errorf("%s has %d images, and gizmo can run one: %s (gizmo image import keeps all in the store)", path, len(images), strings.Join(names, ", "))
	}
	img, err := oci.Unpack(ctx, a, images[0].Descriptor, runtime.GOARCH, c.tell)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c.ofImage(images[0].Name, img)
}

// ofImage analyses the gadget of an image.
func (c *Catalog) ofImage(name string, img *oci.Image) (*Gadget, error) {
	if img.Wasm != nil {
		c.tell(errors.New("the image has a Wasm module, which gizmo does not run yet"))
	}
	var object io.ReaderAt
	if img.Object != nil { // without one, its gadget.yaml switches on a built-in data source
		object = bytes.NewReader(img.Object)
	}
	parsed, err := parse(name, object, img.Metadata, c.Warn)
	if err != nil {
		return nil, err
	}
	return (&Gadget{Image: parsed, Packed: img, Wasm: img.Wasm, KernelTypes: typesIn(img.BTFGen), warn: c.Warn}).Fit()
}
