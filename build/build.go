// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	sourceName   = "program.bpf.c"
	metadataName = "gadget.yaml"
	// maxInput bounds the files that are read whole. The largest header in use has 3 MB.
	maxInput = 64 << 20
)

// Options change how a gadget is built. The zero value is what most callers want.
type Options struct {
	// Arch is the GOARCH of the kernel that the gadget will run on: "amd64" or "arm64". Empty means
	// the architecture of this program.
	Arch string
	// Cache is the folder that remembers builds. Empty means the folder gizmo in the user's cache
	// folder or, where there is none that is surely this user's own, in a private temporary one. A
	// folder that cannot be written makes builds slower, not fail.
	Cache string
	// Verbose, if set, is told what is done, a line for each step.
	Verbose io.Writer
	// Clang is the compiler, a path or a name in PATH. Empty means $CLANG, and without that the
	// newest clang in PATH.
	Clang string
	// Include is a folder with the subfolders gadget and vmlinux, to be used instead of the headers
	// that come with this program. It is for those who work on these headers.
	Include string
}

// Result is a built gadget.
type Result struct {
	// Object is an ELF file for the BPF machine with BTF.
	Object []byte
	// Metadata is gadget.yaml as it is, not looked into; nil if the gadget has none.
	Metadata []byte
	// Warnings is what the compiler had to say about a gadget that it did compile.
	Warnings string
	// Cached is true if no compiler was started for this result.
	Cached bool
	// Source is the path of the C file.
	Source string
}

// Dir compiles the gadget in the folder dir. If the compiler rejects the source, the error is a
// [*CompileError] that holds the compiler's messages.
func Dir(ctx context.Context, dir string, o *Options) (*Result, error) {
	if o == nil {
		o = &Options{}
	}
	g, err := readGadget(dir)
	if err != nil {
		return nil, err
	}
	say := logTo(o.Verbose)
	store := openCache(o.Cache, say)
	j := job{gadget: g, cache: store, say: say}
	if j.arch, err = lookupArch(o.Arch); err != nil {
		return nil, err
	}
	if j.headers, err = findHeaders(o.Include, j.arch); err != nil {
		return nil, err
	}
	if j.tools, err = findTools(ctx, o.Clang, store); err != nil {
		return nil, err
	}
	return j.run(ctx)
}

// logFunc tells the user what happens, if they asked for that.
type logFunc func(format string, args ...any)

func logTo(w io.Writer) logFunc {
	if w == nil {
		return func(string, ...any) {}
	}
	return func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
}

// gadget is the folder that is built.
type gadget struct {
	dir      string // cleaned, and not starting with a dash
	program  []byte // the contents of program.bpf.c
	metadata []byte
}

func (g *gadget) source() string { return g.dir + "/" + sourceName }

func readGadget(dir string) (*gadget, error) {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no gadget to build: there is no folder %s: %w", dir, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("cannot read the gadget: %w", err)
	case !st.IsDir():
		return nil, fmt.Errorf("%s is not a folder: give the folder that holds %s", dir, sourceName)
	}
	g := &gadget{dir: filepath.Clean(dir)}
	if g.dir[0] == '-' { // not to be taken for a flag
		g.dir = "./" + g.dir
	}
	g.program, err = readRegular(filepath.Join(dir, sourceName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not a gadget: it has no file %s: %w", dir, sourceName, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the gadget: %w", err)
	}
	g.metadata, err = readRegular(filepath.Join(dir, metadataName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the gadget's metadata: %w", err)
	}
	return g, nil
}

// readRegular reads a file whole, and nothing that could block or never end. The result is not nil.
func readRegular(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if st.Size() > maxInput {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that gizmo takes", path, st.Size(), maxInput)
	}
	return os.ReadFile(path)
}
