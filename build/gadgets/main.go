// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command gadgets compiles every gadget below a folder, for embedding.
//
//	go run ./build/gadgets -o catalog/objects gadgets
//
// For each folder NAME it makes NAME/program.o, if the gadget has a program, and NAME/gadget.yaml, if it has that. It does not write files
// that would not change, so that Go need not recompile the package that embeds them, and it
// removes the files of gadgets that no longer exist. Folders whose names start with "_" or "." are not
// gadgets, nor is "internal", which has the code that the gadgets' Go programs share.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	log := plain.Writer(os.Stderr) // because messages contain names of files
	if err := run(ctx, os.Args[1:], log); err != nil {
		fmt.Fprintf(log, "gadgets: %v\n", err)
		os.Exit(1)
	}
}

// run is main without what concerns the process. Compilers' messages and progress go to log.
func run(ctx context.Context, args []string, log io.Writer) error {
	fs := flag.NewFlagSet("gadgets", flag.ContinueOnError)
	fs.SetOutput(log)
	out := fs.String("o", "", "the `folder` for the objects")
	arch := fs.String("arch", runtime.GOARCH, "the architecture to compile for")
	verbose := fs.Bool("v", false, "log what is done")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *out == "" || fs.NArg() != 1 {
		return errors.New("usage: gadgets -o FOLDER [-arch ARCH] [-v] GADGETS")
	}
	g := &generator{in: fs.Arg(0), out: *out, options: build.Options{Arch: *arch}, log: log}
	if *verbose {
		g.options.Verbose = &lockedWriter{w: log}
	}
	return g.run(ctx)
}

// generator makes the folder out from the gadgets in the folder in.
type generator struct {
	in, out string
	options build.Options
	log     io.Writer
}

func (g *generator) run(ctx context.Context) error {
	names, err := g.names()
	if err != nil {
		return err
	}
	results := make([]*build.Result, len(names))
	errs := make([]error, len(names))
	places := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			results[i], errs[i] = build.Dir(ctx, filepath.Join(g.in, name), &g.options)
		})
	}
	wg.Wait()
	for i, name := range names {
		g.report(results[i], errs[i])
		if errs[i] == nil {
			errs[i] = g.write(name, results[i])
		}
	}
	return errors.Join(append(errs, g.removeStale(names))...)
}

// names are those of the gadgets, sorted.
func (g *generator) names() ([]string, error) {
	entries, err := os.ReadDir(g.in)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		st, err := os.Stat(filepath.Join(g.in, e.Name()))
		if err == nil && st.IsDir() && !strings.ContainsRune("_.", rune(e.Name()[0])) && e.Name() != "internal" {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there are no gadgets in %s", g.in)
	}
	return names, nil
}

// report passes on the compiler's messages.
func (g *generator) report(r *build.Result, err error) {
	var ce *build.CompileError
	switch {
	case errors.As(err, &ce):
		io.WriteString(g.log, ce.Output)
	case err == nil:
		io.WriteString(g.log, r.Warnings)
		if r.NoCache != nil {
			fmt.Fprintf(g.log, "gadgets: warning: %v\n", r.NoCache)
		}
	}
}

const objectFile, metadataFile = "program.o", "gadget.yaml"

func (g *generator) write(name string, r *build.Result) error {
	dir := filepath.Join(g.out, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if r.Metadata == nil {
		if err := os.Remove(filepath.Join(dir, metadataFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	} else if err := replace(filepath.Join(dir, metadataFile), r.Metadata); err != nil {
		return err
	}
	object := filepath.Join(dir, objectFile)
	if r.Object != nil {
		return replace(object, r.Object)
	}
	if err := os.Remove(object); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// replace writes a file unless it already has these contents.
func replace(path string, data []byte) error {
	if old, err := safefile.Read(path, "an unchanged file", int64(len(data))); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return os.WriteFile(path, data, 0o644)
}

// removeStale removes the folders of gadgets that are gone. A folder that holds anything that this
// program did not make is left alone.
func (g *generator) removeStale(names []string) error {
	dirs, err := os.ReadDir(g.out)
	if err != nil {
		return err
	}
	for _, d := range dirs {
		if !d.IsDir() || slices.Contains(names, d.Name()) {
			continue
		}
		dir := filepath.Join(g.out, d.Name())
		for _, file := range []string{objectFile, metadataFile} {
			if err := os.Remove(filepath.Join(dir, file)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		if err := os.Remove(dir); err != nil {
			return fmt.Errorf("%s belongs to no gadget, and it holds files that this program did not make: %w", dir, err)
		}
	}
	return nil
}

// lockedWriter lets several builds write lines at once.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
