// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	oras "oras.land/oras-go/v2"
)

// CopyOptions limit what an image from elsewhere can make gizmo take.
func CopyOptions() oras.CopyGraphOptions {
	o := oras.DefaultCopyGraphOptions
	o.MaxMetadataBytes = MaxIndex
	o.PreCopy = func(_ context.Context, d ocispec.Descriptor) error {
		if d.Size < 0 || d.Size > maxLayer {
			return fmt.Errorf("its part %s has %d bytes; gizmo takes at most %d", d.Digest, d.Size, maxLayer)
		}
		return nil
	}
	return o
}

// SignatureTag is the tag under which cosign keeps the signatures of an image in its repository.
func SignatureTag(image ocispec.Descriptor) string {
	return image.Digest.Algorithm().String() + "-" + image.Digest.Encoded() + ".sig"
}
