// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package catalog finds gadgets: those that are built into the program, a folder with a source, an object that was
// built before. Whatever it finds is an image that has been checked.
package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/oci/archive"
	"github.com/gizmo-ebpf/gizmo/oci/reference"
)

// Catalog says how gadgets are looked for. The zero value is useful.
type Catalog struct {
	// Warn is called with each unknown name in a gadget.yaml, and each feature that gizmo does not have yet; gizmo ignores
	// them. Nil means a strict check: unknown names are errors. Built-in gadgets are always checked strictly.
	Warn func(error)
	// Messages gets the compiler's messages about a gadget that it did compile. Nil: they are dropped.
	Messages io.Writer
	// OnNoCache is called with the reason why a build is not cached. Nil: it is not reported.
	OnNoCache func(error)
	// Images finds images by their names. Nil: there are none.
	Images func(ctx context.Context, name string) (*oci.Image, error)
	// Build are the options for compiling a folder.
	Build build.Options
}

// Gadget is a gadget that was found.
type Gadget struct {
	Image *image.Image
	// Folder is the folder that the gadget was compiled from, and Object the file that it was found in. Both are empty for a
	// built-in gadget.
	Folder, Object string
	// Packed is the image that it was found in; nil for the others.
	Packed *oci.Image
	// Wasm is its Wasm module, which gizmo does not run; nil: there is none.
	Wasm []byte
	// Clang is the compiler that made the gadget of a folder.
	Clang build.Clang
	// KernelTypes returns the types of this kernel that come with an image, where the kernel has none. Nil: there are none.
	KernelTypes func() (*btf.Spec, error)
	warn        func(error)
}

// with returns the gadget with another image.
func (g *Gadget) with(img *image.Image) *Gadget {
	other := *g
	other.Image = img
	return &other
}

// Find returns the gadget that name refers to: a built-in gadget, the path of a folder with a
// program.bpf.c or a gadget.yaml that needs none, or that of an object with the gadget.yaml beside it. A name with a slash is a path, and so is the name of an
// existing file that is no built-in gadget. The error wraps ErrUnknown if there is no such gadget.
func (c *Catalog) Find(ctx context.Context, name string) (*Gadget, error) {
	if reference.IsExplicit(name) && c.Images != nil {
		return c.named(ctx, name)
	}
	if !strings.ContainsRune(name, filepath.Separator) {
		img, err := Builtin(name)
		if err == nil || !errors.Is(err, ErrUnknown) {
			return &Gadget{Image: img}, err
		}
		if !isFile(name) && !isFile(filepath.Join(name, "program.bpf.c")) && !isFile(filepath.Join(name, "gadget.yaml")) && !archive.IsArchive(name) {
			return c.otherwise(ctx, name, err)
		}
	}
	switch {
	case archive.IsArchive(name):
		return c.archive(ctx, name)
	case isFile(name):
		return c.Object(name)
	}
	g, err := c.Folder(ctx, name)
	if errors.Is(err, fs.ErrNotExist) && !isPath(name) {
		return c.otherwise(ctx, name, err)
	}
	return g, err
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

// Folder compiles and checks the gadget in a folder.
func (c *Catalog) Folder(ctx context.Context, dir string) (*Gadget, error) {
	res, err := c.Compile(ctx, dir, "")
	if err != nil {
		return nil, err
	}
	g, err := c.ParseBuilt(dir, res)
	if err != nil {
		return nil, err
	}
	return g.Fit()
}

// Compile compiles the gadget in a folder for an architecture; empty: this machine's.
func (c *Catalog) Compile(ctx context.Context, dir, arch string) (*build.Result, error) {
	o := c.Build
	o.Arch = arch
	res, err := build.Dir(ctx, dir, &o)
	if err == nil && c.Messages != nil {
		fmt.Fprint(c.Messages, res.Warnings)
	}
	if err == nil {
		for _, text := range res.Ignored {
			c.tell(errors.New(text))
		}
	}
	if err == nil && res.NoCache != nil && c.OnNoCache != nil {
		c.OnNoCache(res.NoCache)
	}
	return res, err
}

// tell calls Warn, if it is set, with something that is no error in a strict check either.
func (c *Catalog) tell(err error) {
	if c.Warn != nil {
		c.Warn(err)
	}
}

// Object reads an object that was built before, on this or another machine, and the gadget.yaml beside it if
// there is one.
func (c *Catalog) Object(path string) (*Gadget, error) {
	yaml, err := safefile.Read(filepath.Join(filepath.Dir(path), "gadget.yaml"), "gadget.yaml", build.MaxMetadata)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	object, err := safefile.Open(path)
	if err != nil {
		return nil, err
	}
	defer object.Close()
	img, err := parse(strings.TrimSuffix(filepath.Base(path), ".o"), object, yaml, c.Warn)
	if err != nil {
		return nil, err
	}
	return (&Gadget{Image: img, Object: path, warn: c.Warn}).Fit()
}

// ParseBuilt analyses the result of compiling a folder. The gadget has the name of the folder, unless gadget.yaml gives
// another. ParseBuilt does not compare the object with its gadget.yaml; see Fit.
func (c *Catalog) ParseBuilt(dir string, res *build.Result) (*Gadget, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	var object io.ReaderAt
	if res.Object != nil {
		object = bytes.NewReader(res.Object)
	}
	img, err := parse(filepath.Base(abs), object, res.Metadata, c.Warn)
	return &Gadget{Image: img, Folder: dir, Clang: res.Clang, Wasm: res.Wasm, warn: c.Warn}, err
}

// Fit returns the gadget without metadata about things that it does not have. It reports these as warnings,
// or as errors in a strict check.
func (g *Gadget) Fit() (*Gadget, error) {
	img, err := fit(g.Image, g.warn)
	return g.with(img), err
}

// WithCustom returns the gadget with the metadata that the values of its custom params make, by the params' names.
func (g *Gadget) WithCustom(values map[string]string) (*Gadget, error) {
	meta, err := g.Image.Metadata.WithCustom(values)
	if err := warnInstead(g.warn, meta, err); err != nil {
		return nil, err
	}
	img, err := g.Image.WithMetadata(meta)
	if err != nil {
		return nil, err
	}
	return g.with(img).Fit()
}
