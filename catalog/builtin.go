// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// objects holds a folder for each gadget of gadgets/, filled by "make build".
//
//go:embed all:objects
var objects embed.FS

// Names returns the names of the built-in gadgets, sorted.
func Names() []string {
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

// ErrUnknown is wrapped by the error about a name that is no built-in gadget.
var ErrUnknown = errors.New("unknown gadget")

// Builtin returns the image of a built-in gadget.
func Builtin(name string) (*image.Image, error) {
	yaml, err := objects.ReadFile("objects/" + name + "/gadget.yaml")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	hasYAML := err == nil
	object, err := objects.Open("objects/" + name + "/program.o")
	switch {
	case errors.Is(err, fs.ErrNotExist) && hasYAML:
		return parse(name, nil, yaml, nil)
	case errors.Is(err, fs.ErrNotExist):
		return nil, unknownGadget(name)
	case err != nil:
		return nil, err
	}
	defer object.Close()
	info, err := object.Stat()
	if err != nil {
		return nil, err
	}
	reader := object.(io.ReaderAt) // as embed.FS promises
	return parse(name, io.NewSectionReader(reader, 0, info.Size()), yaml, nil)
}

func unknownGadget(name string) error {
	names := Names()
	if len(names) == 0 {
		return fmt.Errorf("%w %q: this program was built without gadgets (make build puts them in)", ErrUnknown, name)
	}
	return fmt.Errorf("%w %q%s", ErrUnknown, name, nearest.Hint(name, names))
}
