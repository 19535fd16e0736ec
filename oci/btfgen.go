// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
)

// Kernel identifies the kernel whose types are wanted.
type Kernel struct {
	// ID and VersionID are those of /etc/os-release, Arch and Release what uname prints.
	ID, VersionID, Arch, Release string
}

// The largest types of a kernel, and the largest archive of those of all, in bytes once they are unpacked.
const (
	maxTypes   = 64 << 20
	maxArchive = 1 << 30
)

// KernelTypes takes the types of a kernel out of a layer of the type BTFGenType: a tar.gz that has them as ID/VERSION_ID/ARCH/RELEASE.btf or as RELEASE.btf. Builders
// have made both.
func KernelTypes(layer []byte, k Kernel) ([]byte, error) {
	types, err := kernelTypes(layer, k)
	if err != nil {
		return nil, fmt.Errorf("the types of kernels in the image: %w", err)
	}
	return types, nil
}

func kernelTypes(layer []byte, k Kernel) ([]byte, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: unzipped, N: maxArchive}
	kernels := 0
	for files := tar.NewReader(limited); ; {
		header, err := files.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("they are of %d kernels, and Linux %s of %s %s (%s) is none of them", kernels, k.Release, k.ID, k.VersionID, k.Arch)
		case err != nil && limited.N <= 0:
			return nil, fmt.Errorf("unpacked they have more than %d bytes", maxArchive)
		case err != nil:
			return nil, err
		}
		name := path.Clean(header.Name)
		if path.Ext(name) == ".btf" {
			kernels++
		}
		if name != path.Join(k.ID, k.VersionID, k.Arch, k.Release+".btf") && name != k.Release+".btf" {
			continue
		}
		if header.Size > maxTypes {
			return nil, fmt.Errorf("%s has %d bytes; gizmo reads at most %d", name, header.Size, maxTypes)
		}
		return io.ReadAll(files)
	}
}
