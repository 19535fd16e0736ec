// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package oci turns gadgets into images, and images into gadgets.
//
// An image is an index that has a manifest for each architecture. The config of a manifest is the gadget.yaml, byte for byte; its layers are files as
// they are: the object, a Wasm module, a tar.gz with types of kernels that have none. Each of them may be missing.
package oci

import (
	"errors"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The media types of the parts of an image.
const (
	ArtifactType = "application/vnd.gadget.v1+binary"
	ConfigType   = "application/vnd.gadget.config.v1+yaml"
	ObjectType   = "application/vnd.gadget.ebpf.program.v1+binary"
	WasmType     = "application/vnd.gadget.wasm.program.v1+binary"
	BTFGenType   = "application/vnd.gadget.btfgen.v1+binary"
)

// BuilderAnnotation is the annotation with the version of the program that built an image.
const BuilderAnnotation = "io.inspektor-gadget.builder.version"

// MaxIndex is how large an index or a manifest may be, in bytes: like the other limits far above those of real images, so that nobody can make gizmo run out of memory.
const MaxIndex = 4 << 20

// The largest other parts that are read, in bytes.
const (
	maxConfig = 1 << 20
	maxLayer  = 64 << 20
)

// Gadget is what an image has for one architecture.
type Gadget struct {
	// Metadata is the gadget.yaml. Nil: there is none.
	Metadata []byte
	// Object is the ELF file with the programs. Nil: the gadget has no programs.
	Object []byte
	// Wasm is a module, and BTFGen a tar.gz with types of kernels. Nil: there is none.
	Wasm, BTFGen []byte
}

// Annotations returns the annotations that images of a gadget have. Those that its gadget.yaml names override the others, but for the time.
func Annotations(title, description, homepage, documentation, source, builder string, own map[string]string, created time.Time) map[string]string {
	all := map[string]string{
		BuilderAnnotation:               builder,
		ocispec.AnnotationTitle:         title,
		ocispec.AnnotationDescription:   description,
		ocispec.AnnotationURL:           homepage,
		ocispec.AnnotationDocumentation: documentation,
		ocispec.AnnotationSource:        source,
	}
	for key, text := range own {
		all[key] = text
	}
	all[ocispec.AnnotationCreated] = created.Format(time.RFC3339)
	return all
}

// ErrNoGadget is wrapped by errors about images that are of something else than a gadget, or of none for this architecture.
var ErrNoGadget = errors.New("the image has no gadget")
