// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/build/btfgen"
	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
	"github.com/gizmo-ebpf/gizmo/metadata"
	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/run"
)

// imageFlags are the flags of image build.
type imageFlags struct {
	tag      string
	file     string
	measure  bool
	arch     string
	object   string
	output   string
	btfgen   bool
	btfhub   string
	update   bool
	validate bool
	strict   bool
}

// register adds the flags, and those that have no effect, for scripts that give them.
func (f *imageFlags) register(fs *pflag.FlagSet) {
	fs.StringVarP(&f.tag, "tag", "t", "", "name of an image to make: NAME, REGISTRY/REPOSITORY/NAME:TAG")
	fs.StringVarP(&f.file, "file", "f", "", "build file, which names the files of the gadget; default: DIR/build.yaml, if it is there")
	fs.BoolVar(&f.measure, "measure", false, "with --tag: load the programs into this kernel, and record in the image what they cost its verifier; needs root")
	fs.StringVar(&f.arch, "arch", "", "architecture to build the gadget for, "+strings.Join(build.Arches(), " or ")+"; without it, this machine's")
	fs.StringVar(&f.object, "object", "", "also write the compiled object to this file")
	fs.StringVarP(&f.output, "output", "o", "", "also write what images are made of to this folder, which must exist: an object for each architecture")
	fs.BoolVar(&f.btfgen, "btfgen", false, "with --tag: add to the image the types of the kernels of --btfhub-archive, for kernels that have none; needs bpftool")
	fs.StringVar(&f.btfhub, "btfhub-archive", "", "folder with the types of kernels: ID/VERSION_ID/ARCH/RELEASE.btf.tar.xz, as BTFHub has them")
	fs.BoolVar(&f.update, "update-metadata", false, "add to gadget.yaml the data sources, fields and params of the object that it does not mention")
	fs.BoolVar(&f.validate, "validate-metadata", true, "check gadget.yaml against the object")
	fs.BoolVar(&f.strict, flagStrict, false, strictUsage)
	fs.BoolP("local", "l", true, "build with the compiler of this machine, as gizmo always does; for scripts that say so")
	fs.String(flagBuilder, "", "has no effect: gizmo needs no container to build; for scripts that name one")
	fs.String(flagBuilder+"-pull", "", "has no effect, like --"+flagBuilder)
}

const flagBuilder = "builder-image"

// check finds flags that do not fit together, before anything is built.
func (f *imageFlags) check() error {
	switch {
	case f.measure && f.tag == "":
		return errors.New("--measure needs --tag")
	case f.btfgen && (f.tag == "" && f.output == "" || f.btfhub == ""):
		return errors.New("--btfgen needs --btfhub-archive, and --tag or --output")
	case f.btfhub != "" && !f.btfgen:
		return errors.New("--btfhub-archive needs --btfgen")
	}
	if f.output == "" {
		return nil
	}
	st, err := os.Stat(f.output)
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	if !st.IsDir() {
		return fmt.Errorf("--output: %s is no folder", f.output)
	}
	return nil
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
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed(flagBuilder) {
				a.warn(errors.New("--" + flagBuilder + " has no effect: gizmo builds with the compiler of this machine"))
			}
			return a.imageBuild(cmd.Context(), args[0], &f)
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&a.clang, flagClang, "", clangUsage)
	return cmd
}

func (a *app) imageBuild(ctx context.Context, dir string, f *imageFlags) error {
	if err := f.check(); err != nil {
		return err
	}
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
	if f.tag != "" || f.output != "" {
		if err := a.makeImage(ctx, c, dir, f, g); err != nil || f.tag != "" {
			return err
		}
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
	gadgets, err := a.compileAll(ctx, c, dir, f)
	if err != nil {
		return err
	}
	if f.output != "" {
		if err := writeParts(f.output, gadgets); err != nil {
			return fmt.Errorf("--output: %w", err)
		}
	}
	if f.tag == "" {
		return nil
	}
	return a.imageEnv().Keep(ctx, f.tag, gadgets, g.Image.Metadata, cost)
}

// compileAll compiles a gadget for all architectures.
func (a *app) compileAll(ctx context.Context, c *catalog.Catalog, dir string, f *imageFlags) (map[string]oci.Gadget, error) {
	gadgets := make(map[string]oci.Gadget)
	var none []error // about architectures that the archive has no kernels of
	quiet := *c      // about what the first build has reported
	quiet.Warn, quiet.Messages = nil, nil
	for _, arch := range build.Arches() {
		res, err := quiet.Compile(ctx, dir, arch)
		if err != nil {
			return nil, fmt.Errorf("for %s: %w", arch, err)
		}
		g := oci.Gadget{Metadata: res.Metadata, Object: res.Object, Wasm: res.Wasm}
		if f.btfgen && res.Object != nil {
			g.BTFGen, err = btfgen.Make(ctx, f.btfhub, arch, res.Object)
			if errors.Is(err, btfgen.ErrNone) {
				none, err = append(none, err), nil
			}
			if err != nil {
				return nil, fmt.Errorf("--btfgen: %w", err)
			}
		}
		gadgets[arch] = g
	}
	if len(none) == len(gadgets) {
		return nil, fmt.Errorf("--btfgen: %w", errors.Join(none...))
	}
	for _, err := range none {
		a.warn(fmt.Errorf("--btfgen: %w", err))
	}
	return gadgets, nil
}

// writeParts writes what an image consists of to a folder.
func writeParts(dir string, gadgets map[string]oci.Gadget) error {
	for arch, g := range gadgets { // all have the same Wasm module
		for name, data := range map[string][]byte{arch + ".bpf.o": g.Object, arch + ".btfs.tar.gz": g.BTFGen, "program.wasm": g.Wasm} {
			if data == nil {
				continue
			}
			if err := safefile.Replace(filepath.Join(dir, name), data, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
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
