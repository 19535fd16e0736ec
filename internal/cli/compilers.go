// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/run"
)

// nameCompilers adds to an error of the verifier the compiler that made the program, and another installed compiler whose program
// the verifier accepts: what it can follow depends on how a compiler arranges the code. It does not change errors that do
// not depend on the compiler.
func (a *app) nameCompilers(ctx context.Context, c *chosen, err error) error {
	var rejected *gadget.VerifierError
	if !errors.As(err, &rejected) || rejected.Absent {
		return err
	}
	switch {
	case c.found.Folder != "":
		return fmt.Errorf("%w; %s", err, a.othersThatPass(ctx, c))
	case c.found.Object != "":
		return fmt.Errorf("%w; %s", err, a.otherBuilds(ctx, c))
	}
	return err
}

// othersThatPass tries the other compilers on the folder, the newest first, and returns advice about which one to use.
func (a *app) othersThatPass(ctx context.Context, c *chosen) string {
	used := c.found.Clang
	made := fmt.Sprintf("%s compiled it (%s)", used.Path, used.Version)
	var names []string
	for _, clang := range build.Clangs(ctx, nil) {
		if ctx.Err() != nil {
			return made
		}
		if clang.Major == used.Major {
			continue
		}
		err := a.tryCompiler(ctx, c, clang)
		if err == nil {
			return fmt.Sprintf("%s, and what %s makes of the same source passes: add --%s %[2]s, or set CLANG=%[2]s", made, clang.Name(), flagClang)
		}
		a.logger.Debug("another compiler does not help", "compiler", clang.Path, "why", err)
		names = append(names, clang.Name())
	}
	switch len(names) {
	case 0:
		return fmt.Sprintf("%s, and PATH has no other version to try; what another one makes of the same source may pass (--%s or $CLANG names it)", made, flagClang)
	case 1:
		return fmt.Sprintf("%s; what %s makes of the same source does not load either", made, names[0])
	}
	return fmt.Sprintf("%s; what %s make of the same source does not load either", made, list(names))
}

// tryCompiler finds out whether the kernel accepts the program that a compiler makes of the gadget's folder.
func (a *app) tryCompiler(ctx context.Context, c *chosen, clang build.Clang) error {
	a.logger.Debug("trying another compiler", "compiler", clang.Path)
	from := a.catalog(func(error) {})
	from.Messages, from.OnNoCache, from.Build.Clang = nil, nil, clang.Path
	found, err := from.Folder(ctx, c.found.Folder)
	if err != nil {
		return err
	}
	other := *c
	if other.found, err = c.custom.Apply(found); err != nil {
		return err
	}
	options := a.runOptions(&other)
	options.Text, options.Record = nil, nil
	options.Gadgets[0].Load.Logger = slog.New(slog.DiscardHandler)
	plan, err := run.NewPlan(options)
	if err != nil {
		return err
	}
	return plan.Try()
}

// otherBuilds returns advice about building the object with another compiler.
func (a *app) otherBuilds(ctx context.Context, c *chosen) string {
	text := "what another compiler makes of its source may pass: gizmo image build DIR --object FILE --" + flagClang + " NAME"
	if made := c.found.Image.Compiler; made != "" {
		text = made + " compiled it; " + text
	}
	var names []string
	for _, clang := range build.Clangs(ctx, nil) {
		names = append(names, clang.Name())
	}
	if len(names) > 0 {
		text += " (here: " + strings.Join(names, ", ") + ")"
	}
	return text
}

// list joins names to an enumeration in a sentence.
func list(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
