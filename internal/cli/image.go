// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/internal/builtin"
)

func (a *app) imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Build gadget images",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.imageBuildCommand())
	return cmd
}

func (a *app) imageBuildCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "build DIR",
		Short: "Compile the gadget in a directory and check it",
		Long: "Compiles DIR/program.bpf.c with the local clang, checks the result against DIR/gadget.yaml and\n" +
			"keeps it in the cache, so that \"gizmo run DIR\" starts at once.",
		Args: oneArg("directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			img, object, err := a.buildDir(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if out != "" {
				if err := os.WriteFile(out, object, 0o644); err != nil {
					return err
				}
			}
			_, err = fmt.Fprintf(a.Out, "%s: %d bytes, %d programs, %d data sources, %d params\n",
				img.Metadata.Name, len(object), len(img.Programs), len(img.DataSources), len(img.Params))
			return err
		},
	}
	cmd.Flags().StringVar(&out, "object", "", "also write the compiled object to this file")
	return cmd
}

// buildDir compiles and analyses the gadget in a directory.
func (a *app) buildDir(ctx context.Context, dir string) (*gadget.Image, []byte, error) {
	var o build.Options
	if a.verbose {
		o.Verbose = a.Err
	}
	res, err := build.Dir(ctx, dir, &o)
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprint(a.Err, res.Warnings)
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, err
	}
	img, err := builtin.Parse(filepath.Base(abs), res.Object, res.Metadata)
	if err != nil {
		return nil, nil, err
	}
	if err := builtin.Check(img); err != nil {
		return nil, nil, err
	}
	return img, res.Object, nil
}

// findGadget returns the image that a name on the command line stands for: a built-in gadget or a
// directory. A name with a slash, or that of a folder with a program, is a directory.
func (a *app) findGadget(ctx context.Context, name string) (*gadget.Image, error) {
	if !strings.ContainsRune(name, filepath.Separator) {
		img, err := builtin.Gadget(name)
		if err == nil || !errors.Is(err, builtin.ErrUnknownGadget) {
			return img, err
		}
		if _, statErr := os.Stat(filepath.Join(name, "program.bpf.c")); errors.Is(statErr, fs.ErrNotExist) {
			return nil, err
		}
	}
	img, _, err := a.buildDir(ctx, name)
	return img, err
}
