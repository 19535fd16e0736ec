// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package builtin is the wiring: the explicit tables that say which gadgets, enriched types and
// stages make up the program.
package builtin

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// objects holds a folder for each gadget of gadgets/, filled by "make build".
//
//go:embed all:objects
var objects embed.FS

// Gadgets returns the names of the built-in gadgets, sorted.
func Gadgets() []string {
	entries, err := objects.ReadDir("objects")
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// ErrUnknownGadget is wrapped by the error about a name that is no built-in gadget.
var ErrUnknownGadget = errors.New("unknown gadget")

// Gadget returns the image of a built-in gadget.
func Gadget(name string) (*image.Image, error) {
	object, err := objects.ReadFile("objects/" + name + "/program.o")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, unknownGadget(name)
	}
	if err != nil {
		return nil, err
	}
	yaml, err := objects.ReadFile("objects/" + name + "/gadget.yaml")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return Parse(name, object, yaml)
}

func unknownGadget(name string) error {
	names := Gadgets()
	if len(names) == 0 {
		return fmt.Errorf("%w %q: this program was built without gadgets (make build puts them in)", ErrUnknownGadget, name)
	}
	return fmt.Errorf("%w %q%s", ErrUnknownGadget, name, nearest.Hint(name, names))
}

// Parse analyses an object with the text of its gadget.yaml, which may be empty.
func Parse(name string, object, yaml []byte) (*image.Image, error) {
	return parse(name, bytes.NewReader(object), yaml, nil)
}

func parse(name string, object io.ReaderAt, yaml []byte, warn Warn) (*image.Image, error) {
	meta, err := metadata.Parse("gadget.yaml", yaml)
	if err := warn.reportUnknown(meta, err); err != nil {
		return nil, fmt.Errorf("gadget %s: %w", name, err)
	}
	img, err := image.Parse(object, meta)
	if err != nil {
		return nil, fmt.Errorf("gadget %s: %w", name, err)
	}
	if img.Metadata.Name == "" {
		img.Metadata.Name = name
	}
	return img, nil
}
