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

	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

const (
	sourceName   = "program.bpf.c"
	metadataName = "gadget.yaml"
)

// Bounds on the files that are read whole, in bytes.
const (
	maxProgram = 16 << 20
	maxInput   = 64 << 20 // of a file that the program includes: the largest header in use has 3 MB
	maxDeps    = 16 << 20 // of the list of files that the compiler read
	maxOutput  = 64 << 20 // of the object, with its debug information
	maxWasm    = 64 << 20
)

// MaxMetadata is how long gadget.yaml may be, in bytes.
const MaxMetadata = 1 << 20

// Options change how a gadget is built. The zero value suits most callers.
type Options struct {
	// Arch is the GOARCH of the kernel that the gadget will run on: "amd64" or "arm64". Empty means
	// the architecture of this program.
	Arch string
	// Cache is the folder that remembers builds. Empty means the folder gizmo in the user's cache
	// folder or, for root, where that is not safe for root, /var/cache/gizmo. A folder that cannot be
	// used, or that another user could exchange or change, makes builds slower, not fail.
	Cache string
	// Verbose, if set, gets a line for each step of the build.
	Verbose io.Writer
	// Clang is the compiler, a path or a name in PATH. Empty means $CLANG, and without that the
	// newest clang in PATH.
	Clang string
	// File is the build file, which names the files of the gadget. Empty means build.yaml in the folder, if it is there.
	File string
	// Include is a folder with the subfolders gadget and vmlinux, which replaces the headers
	// that come with this program. It is for work on these headers.
	Include string
}

// Result is a built gadget.
type Result struct {
	// Object is an ELF file for the BPF machine with BTF; nil for a gadget without a program.
	Object []byte
	// Metadata is gadget.yaml as it is, not looked into; nil if the gadget has none.
	Metadata []byte
	// Wasm is the module that the build file names; nil if there is none. gizmo does not run it.
	Wasm []byte
	// Ignored says what of the build file has no effect.
	Ignored []string
	// Warnings holds the compiler's messages about a gadget that it did compile, without characters
	// that could affect a terminal.
	Warnings string
	// NoCache says why the build was neither looked up nor remembered, in words for the user. It is nil
	// if there is a cache.
	NoCache error
	// Cached is true if no compiler was started for this result.
	Cached bool
	// Source is the path of the C file.
	Source string
	// Clang is the compiler that made the object, now or earlier.
	Clang Clang
}

// Dir compiles the gadget in the folder dir. A folder that has a gadget.yaml and no program.bpf.c may be a gadget that needs no program:
// then there is nothing to compile, and the result has no object. If the compiler rejects the source, the error is a
// [*CompileError] that holds the compiler's messages. If ctx is done, Dir ends the compiler and leaves nothing
// behind.
//
// Names in errors are escaped for terminals.
func Dir(ctx context.Context, dir string, o *Options) (*Result, error) {
	if o == nil {
		o = &Options{}
	}
	r, err := buildDir(ctx, dir, o)
	var compile *CompileError // takes care of that itself
	if err != nil && !errors.As(err, &compile) {
		err = plain.Error(err)
	}
	return r, err
}

func buildDir(ctx context.Context, dir string, o *Options) (*Result, error) {
	g, err := readGadget(dir, o.File)
	if err != nil {
		return nil, err
	}
	r, err := g.build(ctx, o)
	if err != nil {
		return nil, err
	}
	r.Wasm, r.Ignored = g.wasm, g.ignored
	return r, nil
}

// build compiles the gadget.
func (g *gadget) build(ctx context.Context, o *Options) (*Result, error) {
	say := logTo(o.Verbose)
	if g.program == nil {
		say("%s: there is no program to compile", g.source())
		_, err := lookupArch(o.Arch)
		return &Result{Metadata: g.metadata, Source: g.source()}, err
	}
	var err error
	store, noCache := openCache(o.Cache, say)
	defer store.close()
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
	r, err := j.run(ctx)
	if err == nil {
		r.NoCache = plain.Error(noCache)
	}
	return r, err
}

// logFunc logs a step of the build, if Options.Verbose is set.
type logFunc func(format string, args ...any)

func logTo(w io.Writer) logFunc {
	if w == nil {
		return func(string, ...any) {}
	}
	return func(format string, args ...any) {
		fmt.Fprintln(w, plain.Text(fmt.Sprintf(format, args...)))
	}
}

// gadget is the folder that is built.
type gadget struct {
	dir      string // cleaned, and not starting with a dash
	name     string // of the source, below dir: program.bpf.c
	program  []byte // its contents; nil if there is none
	metadata []byte
	wasm     []byte // nil: there is none
	ignored  []string
}

func (g *gadget) source() string { return g.dir + "/" + g.name }

// readGadget reads the files of a gadget, which a build file may name.
func readGadget(dir, buildFile string) (*gadget, error) {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no gadget to build: there is no folder %s: %w", dir, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("cannot read the gadget: %w", err)
	case !st.IsDir():
		return nil, fmt.Errorf("%s is not a folder: give the folder that holds %s", dir, sourceName)
	}
	p, err := readParts(dir, buildFile)
	if err != nil {
		return nil, err
	}
	g := &gadget{dir: filepath.Clean(dir), name: p.source, ignored: p.ignored}
	if g.dir[0] == '-' { // not to be taken for a flag
		g.dir = "./" + g.dir
	}
	return g, g.read(dir, p)
}

// read reads the parts of the gadget.
func (g *gadget) read(dir string, p *parts) (err error) {
	g.program, err = safefile.Read(filepath.Join(dir, p.source), p.source, maxProgram)
	if err != nil && (p.ownSource || !errors.Is(err, fs.ErrNotExist)) {
		return fmt.Errorf("cannot read the gadget: %w", err)
	}
	missing := err != nil
	g.metadata, err = safefile.Read(filepath.Join(dir, p.metadata), p.metadata, MaxMetadata)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read the gadget's metadata: %w", err)
	}
	if p.wasm != "" {
		if g.wasm, err = safefile.Read(filepath.Join(dir, p.wasm), p.wasm, maxWasm); err != nil {
			return fmt.Errorf("cannot read the gadget's Wasm module: %w", err)
		}
	}
	switch {
	case missing && g.metadata == nil:
		return fmt.Errorf("%s is not a gadget: it has no file %s: %w", dir, p.source, fs.ErrNotExist)
	case missing:
		g.program = nil
	case g.program == nil: // an empty file
		g.program = []byte{}
	}
	return nil
}
