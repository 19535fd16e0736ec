// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"fmt"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"maps"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
	"github.com/gizmo-ebpf/gizmo/metadata"
	"github.com/gizmo-ebpf/gizmo/semtype"
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

// imageFlags are the flags of image build.
type imageFlags struct {
	arch     string
	object   string
	update   bool
	validate bool
}

func (a *app) imageBuildCommand() *cobra.Command {
	var f imageFlags
	cmd := &cobra.Command{
		Use:   "build DIR",
		Short: "Compile the gadget in a directory and check it",
		Long: "Compiles DIR/program.bpf.c with the local clang, checks DIR/gadget.yaml against the result and\n" +
			"keeps it in the cache, so that \"gizmo run DIR\" starts at once.",
		Args: oneArg("directory"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.imageBuild(cmd.Context(), args[0], &f) },
	}
	cmd.Flags().StringVar(&f.arch, "arch", "", "architecture that the gadget is for, "+strings.Join(build.Arches(), " or ")+"; without it, this machine's")
	cmd.Flags().StringVar(&f.object, "object", "", "also write the compiled object to this file")
	cmd.Flags().BoolVar(&f.update, "update-metadata", false, "add to gadget.yaml what it does not mention of the object: data sources, fields, params")
	cmd.Flags().BoolVar(&f.validate, "validate-metadata", true, "fail if gadget.yaml names what the object does not have")
	return cmd
}

func (a *app) imageBuild(ctx context.Context, dir string, f *imageFlags) error {
	res, err := a.catalog().Compile(ctx, dir, f.arch)
	if err != nil {
		return err
	}
	if f.update {
		if res.Metadata, err = a.updateMetadata(dir, res); err != nil {
			return err
		}
	}
	img, err := catalog.ParseBuilt(dir, res)
	if err != nil {
		return err
	}
	if f.validate {
		err = checkImage(img, res.Object)
	} else {
		fmt.Fprintln(a.Err, "gizmo: gadget.yaml was not checked against the object")
	}
	if err != nil {
		return err
	}
	if f.object != "" {
		if err := safefile.Replace(f.object, res.Object, 0o644); err != nil {
			return fmt.Errorf("--object: %w", err)
		}
	}
	_, err = fmt.Fprintf(a.Out, "%s: %d bytes, %d programs, %d data sources, %d params\n",
		img.Metadata.Name, len(res.Object), len(img.Programs), len(img.DataSources), len(img.Params))
	return err
}

// checkImage checks the metadata of an image, and what each value of its custom params makes of it.
func checkImage(img *image.Image, object []byte) error {
	if err := catalog.Check(img); err != nil {
		return err
	}
	return eachCustomValue(img.Metadata, func(meta *metadata.Metadata) error {
		patched, err := image.Parse(bytes.NewReader(object), meta)
		if err != nil {
			return err
		}
		return catalog.Check(patched)
	})
}

// eachCustomValue calls check with the metadata that each value listed of a custom param makes, the
// other params having their defaults. Values that only the user knows are left to the run.
func eachCustomValue(meta *metadata.Metadata, check func(*metadata.Metadata) error) error {
	params := meta.CustomParams()
	if len(params) == 0 {
		return nil
	}
	values := make(map[string]string) // the first of those that the user must give
	for _, p := range params {
		if p.Mandatory && p.Default == "" {
			if len(p.Values) == 0 {
				return nil
			}
			values[p.Name] = p.Values[0]
		}
	}
	try := func(values map[string]string) error {
		patched, err := meta.WithCustom(values)
		if err == nil {
			err = check(patched)
		}
		return err
	}
	if err := try(values); err != nil {
		return err
	}
	for _, p := range params {
		for _, v := range p.Values {
			one := maps.Clone(values)
			one[p.Name] = v
			if err := try(one); err != nil {
				return fmt.Errorf("with %s=%s: %w", p.Key, v, err)
			}
		}
	}
	return nil
}

// updateMetadata writes to gadget.yaml what it does not mention of the object, and returns its text.
func (a *app) updateMetadata(dir string, res *build.Result) ([]byte, error) {
	img, err := catalog.ParseBuilt(dir, res)
	if err != nil {
		return nil, err
	}
	object, err := objectOf(img)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "gadget.yaml")
	text, added, err := metadata.Update(path, res.Metadata, object)
	if err != nil {
		return nil, err
	}
	if added == 0 {
		_, err = fmt.Fprintf(a.Out, "%s: nothing to add\n", path)
		return text, err
	}
	if err := safefile.Replace(path, text, 0o644); err != nil {
		return nil, fmt.Errorf("cannot update the metadata: %w", err)
	}
	_, err = fmt.Fprintf(a.Out, "%s: entries added: %d; fill in those marked \"describe me\"\n", path, added)
	return text, err
}

// objectOf lists what gadget.yaml should mention: all fields that have a value, those included that
// enriched types add, and the params that do not describe themselves.
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
			// An added field is described by the one that it says in words.
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

// catalog finds gadgets.
func (a *app) catalog() *catalog.Catalog {
	c := &catalog.Catalog{Warn: a.warnUnknown, Messages: a.Err, OnNoCache: a.warn}
	if a.verbose {
		c.Build.Verbose = a.Err
	}
	return c
}

// warnUnknown tells of names in the metadata that this version does not know, a line for each.
func (a *app) warnUnknown(err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(a.Err, "gizmo: warning: left out: %s\n", strings.TrimSuffix(line, "\n"))
	}
}

func (a *app) warn(err error) { fmt.Fprintf(a.Err, "gizmo: warning: %v\n", err) }
