// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/cli/flags"
	"github.com/gizmo-ebpf/gizmo/internal/cli/images"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
	"github.com/gizmo-ebpf/gizmo/metadata"
	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/run"
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
	var mode string
	var diagram bool
	cmd := &cobra.Command{
		Use:   "inspect GADGET",
		Short: "Show what is in a gadget: a built-in one, an image, or the one in a directory or a file",
		Args:  oneArg("gadget"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if diagram {
				mode = "mermaid"
			}
			return a.imageInspect(cmd.Context(), args[0], &f, mode)
		},
	}
	cmd.Flags().StringVarP(&mode, "output", "o", "text", "output mode: text, json, jsonpretty, mermaid")
	cmd.Flags().BoolVar(&diagram, "diagram", false, "show the programs and the maps that they use as a diagram of Mermaid: -o mermaid")
	f.Register(cmd.Flags())
	return cmd
}

func (a *app) imageInspect(ctx context.Context, name string, f *images.RunFlags, mode string) error {
	var found *oci.Image
	var signature string
	c := a.catalog(a.warn)
	c.Images = func(ctx context.Context, name string) (img *oci.Image, err error) {
		found, signature, err = f.Inspect(ctx, a.imageEnv(), name)
		return found, err
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
	d := images.Describe(g.Image, sources)
	if found != nil {
		d.OfImage(name, found.Index.Digest.String(), signature, found.Annotations)
	}
	return d.Write(a.page, mode)
}

// imageFlags are the flags of image build.
type imageFlags struct {
	tag      string
	file     string
	measure  bool
	arch     string
	object   string
	update   bool
	validate bool
	strict   bool
}

func (a *app) imageBuildCommand() *cobra.Command {
	var f imageFlags
	cmd := &cobra.Command{
		Use:   "build DIR",
		Short: "Compile the gadget in a directory and check it",
		Long: "Compiles DIR/program.bpf.c with the local clang, checks DIR/gadget.yaml against the object and\n" +
			"keeps the object in the cache, so that \"gizmo run DIR\" starts at once. With --tag it also makes an image of\n" +
			"the gadget, for all architectures, and keeps it in the store.",
		Args: oneArg("directory"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.imageBuild(cmd.Context(), args[0], &f) },
	}
	cmd.Flags().StringVarP(&f.tag, "tag", "t", "", "name of an image to make: NAME, REGISTRY/REPOSITORY/NAME:TAG")
	cmd.Flags().StringVarP(&f.file, "file", "f", "", "build file, which names the files of the gadget; default: DIR/build.yaml, if it is there")
	cmd.Flags().BoolP("local", "l", true, "build with the compiler of this machine, as gizmo always does; for scripts that say so")
	cmd.Flags().BoolVar(&f.measure, "measure", false, "with --tag: load the programs into this kernel, and record in the image what they cost its verifier; needs root")
	cmd.Flags().StringVar(&f.arch, "arch", "", "architecture to build the gadget for, "+strings.Join(build.Arches(), " or ")+"; without it, this machine's")
	cmd.Flags().StringVar(&f.object, "object", "", "also write the compiled object to this file")
	cmd.Flags().BoolVar(&f.update, "update-metadata", false, "add to gadget.yaml the data sources, fields and params of the object that it does not mention")
	cmd.Flags().BoolVar(&f.validate, "validate-metadata", true, "check gadget.yaml against the object")
	cmd.Flags().BoolVar(&f.strict, flagStrict, false, strictUsage)
	cmd.Flags().StringVar(&a.clang, flagClang, "", clangUsage)
	return cmd
}

func (a *app) imageBuild(ctx context.Context, dir string, f *imageFlags) error {
	c := a.catalog(a.warnUnless(f.strict))
	c.Build.File = f.file
	res, err := c.Compile(ctx, dir, f.arch)
	if err != nil {
		return err
	}
	if f.update {
		if res.Metadata, err = a.updateMetadata(dir, res); err != nil {
			return err
		}
	}
	g, err := c.ParseBuilt(dir, res)
	if err != nil {
		return err
	}
	if f.validate {
		err = errors.Join(checkGadget(g), checkFlags(g.Image, c.Warn))
	} else {
		fmt.Fprintln(a.Err, "gizmo: gadget.yaml was not checked against the object")
	}
	if err != nil {
		return err
	}
	if f.object != "" {
		if res.Object == nil {
			return errors.New("--object: the gadget has no program, so there is no object to write")
		}
		if err := safefile.Replace(f.object, res.Object, 0o644); err != nil {
			return fmt.Errorf("--object: %w", err)
		}
	}
	if f.tag != "" {
		return a.makeImage(ctx, c, dir, f, g)
	}
	if f.measure {
		return errors.New("--measure needs --tag")
	}
	img := g.Image
	_, err = fmt.Fprintf(a.page, "%s: %d bytes, %d programs, %d data sources, %d params\n",
		plain.Line(img.Metadata.Name), len(res.Object), len(img.Programs), len(img.DataSources), len(img.Params))
	return err
}

// makeImage compiles a gadget for all architectures, and makes an image of it.
func (a *app) makeImage(ctx context.Context, c *catalog.Catalog, dir string, f *imageFlags, g *catalog.Gadget) error {
	var cost map[string]int
	if f.measure {
		var err error
		if cost, err = a.measure(ctx, g); err != nil {
			return fmt.Errorf("--measure: %w", err)
		}
	}
	gadgets := make(map[string]oci.Gadget)
	quiet := *c // about what the first build has reported
	quiet.Warn, quiet.Messages = nil, nil
	for _, arch := range build.Arches() {
		res, err := quiet.Compile(ctx, dir, arch)
		if err != nil {
			return fmt.Errorf("for %s: %w", arch, err)
		}
		gadgets[arch] = oci.Gadget{Metadata: res.Metadata, Object: res.Object, Wasm: res.Wasm}
	}
	return a.imageEnv().Keep(ctx, f.tag, gadgets, g.Image.Metadata, cost)
}

// measure loads the programs of a gadget, and returns how many instructions the kernel's verifier processed of each.
func (a *app) measure(ctx context.Context, g *catalog.Gadget) (cost map[string]int, err error) {
	plan, err := run.NewPlan(run.Options{Gadgets: []run.Gadget{{Image: g.Image}}, Logger: a.logger})
	if err != nil {
		return nil, err
	}
	r, err := plan.Load(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	stats, err := r.Stats()
	cost = make(map[string]int)
	for _, s := range stats {
		cost[s.Name] = s.Verified
	}
	return cost, err
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

// updateMetadata adds to gadget.yaml the parts of the object that it does not mention, and returns its text.
func (a *app) updateMetadata(dir string, res *build.Result) ([]byte, error) {
	g, err := a.catalog(func(error) {}).ParseBuilt(dir, res) // the check afterwards reports unknown names
	if err != nil {
		return nil, err
	}
	object, err := objectOf(g.Image)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "gadget.yaml")
	text, added, err := metadata.Update(path, res.Metadata, object)
	if err != nil {
		return nil, err
	}
	if added == 0 {
		_, err = fmt.Fprintf(a.page, "%s: nothing to add\n", plain.Text(path))
		return text, err
	}
	if err := safefile.Replace(path, text, 0o644); err != nil {
		return nil, fmt.Errorf("cannot update the metadata: %w", err)
	}
	_, err = fmt.Fprintf(a.page, "%s: entries added: %d; fill in those marked \"describe me\"\n", plain.Text(path), added)
	return text, err
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
