// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/gadget"
)

// nameOtherCompiler adds to an error of the verifier which other compiler makes a program of the same
// source that it takes, if there is one: what it can follow depends on the compiler's choices. The gadget
// is that of a directory, or else the error stays as it is.
func (a *app) nameOtherCompiler(ctx context.Context, dir string, img *gadget.Image, o *gadget.LoadOptions, err error) error {
	if !errors.As(err, new(*gadget.VerifierError)) {
		return err
	}
	if _, statErr := os.Stat(filepath.Join(dir, "program.bpf.c")); statErr != nil {
		return err
	}
	for _, clang := range build.Clangs(ctx, nil) {
		if ctx.Err() == nil && loadsWith(ctx, clang, dir, img, o) {
			name := filepath.Base(clang)
			return fmt.Errorf("%w; compiled by %s, the kernel takes it: add --clang %s", err, name, name)
		}
	}
	return err
}

// loadsWith tells whether the kernel takes the gadget as another compiler makes it.
func loadsWith(ctx context.Context, clang, dir string, img *gadget.Image, o *gadget.LoadOptions) bool {
	res, err := build.Dir(ctx, dir, &build.Options{Clang: clang})
	if err != nil {
		return false
	}
	other, err := parseDir(dir, res, func(error) {})
	if err != nil {
		return false
	}
	if other, err = other.WithMetadata(img.Metadata); err != nil {
		return false
	}
	g, err := load(other, o)
	if err != nil {
		return false
	}
	return g.Close() == nil
}
