// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"maps"
	"runtime"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/cli/flags"
	"github.com/gizmo-ebpf/gizmo/internal/cli/images"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/metadata"
	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/semtype"
)

func (a *app) imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Build images of gadgets, and move them",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.imageBuildCommand(), a.imageInspectCommand())
	cmd.AddCommand(images.Commands(a.imageEnv())...)
	return cmd
}

// imageEnv is what the commands about images use.
func (a *app) imageEnv() *images.Env {
	return &images.Env{In: a.In, Out: a.page, Err: a.Err, Version: version, Warn: a.warn}
}

func (a *app) imageInspectCommand() *cobra.Command {
	var f images.RunFlags
	var view images.View
	cmd := &cobra.Command{
		Use:   "inspect GADGET",
		Short: "Show what is in a gadget: a built-in one, an image, or the one in a directory or a file",
		Args:  oneArg("gadget"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.imageInspect(cmd.Context(), args[0], &f, &view)
		},
	}
	view.Register(cmd.Flags())
	f.Register(cmd.Flags())
	return cmd
}

func (a *app) imageInspect(ctx context.Context, name string, f *images.RunFlags, view *images.View) error {
	var seal images.Seal
	c := a.catalog(a.warn)
	c.Images = func(ctx context.Context, name string) (img *oci.Image, err error) {
		img, seal, err = f.Inspect(ctx, a.imageEnv(), name)
		return img, err
	}
	g, err := c.Find(ctx, name)
	if err != nil {
		return err
	}
	var sources []*event.Schema
	for i := range g.Image.DataSources {
		s, err := completed(g.Image.DataSources[i].Schema.Clone(), g.Image.DataSources[i].Annotations)
		if err != nil {
			return err
		}
		sources = append(sources, s)
	}
	d := images.Describe(ctx, g.Image, sources, g.Wasm)
	if g.Packed != nil {
		d.OfImage(name, g.Packed, seal)
	}
	return view.Write(a.page, d)
}

// checkGadget checks the metadata of a gadget, also as changed by each value of its custom params.
func checkGadget(g *catalog.Gadget) error {
	g, err := g.Fit()
	if err != nil {
		return err
	}
	return eachCustomValue(g.Image.Metadata, func(values map[string]string) error {
		_, err := g.WithCustom(values)
		return err
	})
}

// checkFlags checks the flags that the gadget will have when it is run, and the defaults that it gives to flags.
func checkFlags(img *image.Image, warn func(error)) error {
	fs := pflag.NewFlagSet("run", pflag.ContinueOnError)
	var f runFlags
	f.register(fs)
	if _, _, err := registerGadget(fs, img, &f); err != nil {
		return err
	}
	return flags.SetDefaults(fs, img.Metadata.ParamDefaults, warn)
}

// eachCustomValue calls check with each listed value of a custom param, while the other params have their
// defaults. A run checks the values that are not listed.
func eachCustomValue(meta *metadata.Metadata, check func(values map[string]string) error) error {
	params := meta.CustomParams()
	if len(params) == 0 {
		return nil
	}
	values := make(map[string]string) // for params that the user must set: their first listed value
	for _, p := range params {
		if p.Mandatory && p.Default == "" {
			if len(p.Values) == 0 {
				return nil
			}
			values[p.Name] = p.Values[0]
		}
	}
	if err := check(values); err != nil {
		return err
	}
	for _, p := range params {
		for _, v := range p.Values {
			one := maps.Clone(values)
			one[p.Name] = v
			if err := check(one); err != nil {
				return fmt.Errorf("with %s=%s: %w", p.Key, v, err)
			}
		}
	}
	return nil
}

// objectOf lists what gadget.yaml should mention: all fields that have a value, including those that
// enriched types add, and the params that have no description of their own.
func objectOf(img *image.Image) (*metadata.Object, error) {
	o := &metadata.Object{Name: img.Metadata.Name}
	env := semtype.Env{Arch: runtime.GOARCH}
	for i := range img.DataSources {
		d := &img.DataSources[i]
		s := d.Schema.Clone()
		if err := semtype.Apply(s, semtype.Types(), &env, d.Annotations); err != nil {
			return nil, err
		}
		source := metadata.ObjectSource{Name: s.Name}
		for j := range s.Fields {
			f := &s.Fields[j]
			if f.Kind == event.Struct && f.Text == nil {
				continue
			}
			// The description of the field that it shows as text suffices for an added field.
			described := f.Added || f.Ann.Description != ""
			source.Fields = append(source.Fields, metadata.ObjectField{Name: f.Name, Described: described})
		}
		o.DataSources = append(o.DataSources, source)
	}
	for _, p := range img.Params {
		if p.Description == "" {
			o.Params = append(o.Params, metadata.ObjectParam{Var: p.Var, Key: p.Key, Default: p.Default})
		}
	}
	return o, nil
}

// catalog returns a catalog that reports unknown names in a gadget.yaml to warn; nil: they are errors.
func (a *app) catalog(warn func(error)) *catalog.Catalog {
	c := &catalog.Catalog{Warn: warn, Messages: a.Err, OnNoCache: a.warn}
	c.Build.Clang = a.clang
	if a.verbose {
		c.Build.Verbose = a.Err
	}
	return c
}

func (a *app) warn(err error) { fmt.Fprintf(a.Err, "gizmo: warning: %s\n", plain.Message(err)) }
