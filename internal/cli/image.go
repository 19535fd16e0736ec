// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/internal/builtin"
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
	strict   bool
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
	cmd.Flags().BoolVar(&f.validate, "validate-metadata", true, "compare gadget.yaml with what the object has")
	cmd.Flags().BoolVar(&f.strict, flagStrict, false, strictUsage)
	cmd.Flags().StringVar(&a.clang, flagClang, "", clangUsage)
	return cmd
}

func (a *app) imageBuild(ctx context.Context, dir string, f *imageFlags) error {
	res, err := a.compileDir(ctx, dir, f.arch)
	if err != nil {
		return err
	}
	if f.update {
		if res.Metadata, err = a.updateMetadata(dir, res); err != nil {
			return err
		}
	}
	warn := a.warnUnless(f.strict)
	img, err := parseDir(dir, res, warn)
	if err != nil {
		return err
	}
	if f.validate {
		err = checkImage(img, warn)
	} else {
		fmt.Fprintln(a.Err, "gizmo: gadget.yaml was not checked against the object")
	}
	if err != nil {
		return err
	}
	if f.object != "" {
		if err := os.WriteFile(f.object, res.Object, 0o644); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(a.Out, "%s: %d bytes, %d programs, %d data sources, %d params\n",
		img.Metadata.Name, len(res.Object), len(img.Programs), len(img.DataSources), len(img.Params))
	return err
}

// buildDir compiles, analyses and checks the gadget in a directory.
func (a *app) buildDir(ctx context.Context, dir string, warn builtin.Warn) (*gadget.Image, error) {
	res, err := a.compileDir(ctx, dir, "")
	if err != nil {
		return nil, err
	}
	img, err := parseDir(dir, res, warn)
	if err != nil {
		return nil, err
	}
	return builtin.Fit(img, warn)
}

func (a *app) compileDir(ctx context.Context, dir, arch string) (*build.Result, error) {
	o := build.Options{Arch: arch, Clang: a.clang}
	if a.verbose {
		o.Verbose = a.Err
	}
	res, err := build.Dir(ctx, dir, &o)
	if err == nil {
		fmt.Fprint(a.Err, res.Warnings)
	}
	return res, err
}

// parseDir analyses what came out of a directory, whose name the gadget has unless gadget.yaml gives
// another.
func parseDir(dir string, res *build.Result, warn builtin.Warn) (*gadget.Image, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return builtin.ParseUnchecked(filepath.Base(abs), bytes.NewReader(res.Object), res.Metadata, warn)
}

// checkImage checks the metadata of an image, and what each value of its custom params makes of it.
func checkImage(img *gadget.Image, warn builtin.Warn) error {
	img, err := builtin.Fit(img, warn)
	if err != nil {
		return err
	}
	return eachCustomValue(img.Metadata, func(values map[string]string) error {
		_, err := builtin.WithCustom(img, values, warn)
		return err
	})
}

// eachCustomValue calls check with each value listed of a custom param, the other params having their
// defaults. Values that only the user knows are left to the run.
func eachCustomValue(meta *metadata.Metadata, check func(values map[string]string) error) error {
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

// updateMetadata writes to gadget.yaml what it does not mention of the object, and returns its text.
func (a *app) updateMetadata(dir string, res *build.Result) ([]byte, error) {
	img, err := parseDir(dir, res, func(error) {}) // the check that follows tells of what is not known
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
	if err := replaceFile(path, text); err != nil {
		return nil, fmt.Errorf("cannot update the metadata: %w", err)
	}
	_, err = fmt.Fprintf(a.Out, "%s: entries added: %d; fill in those marked \"describe me\"\n", path, added)
	return text, err
}

// objectOf lists what gadget.yaml should mention: all fields that have a value, those included that
// enriched types add, and the params that do not describe themselves.
func objectOf(img *gadget.Image) (*metadata.Object, error) {
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

// replaceFile gives a file a new content, or leaves it as it is. Links and permissions stay.
func replaceFile(path string, data []byte) (err error) {
	mode := fs.FileMode(0o644)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if st, err := os.Stat(path); err == nil {
		mode = st.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".gadget.yaml-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// findGadget returns the image that a name on the command line stands for: a built-in gadget, a
// directory or an object. A name with a slash, or that of a folder with a program or of a file, is one of
// the latter. What is not known of the metadata is told to warn, unless the gadget is built in.
func (a *app) findGadget(ctx context.Context, name string, warn builtin.Warn) (*gadget.Image, builtin.Warn, error) {
	if !strings.ContainsRune(name, filepath.Separator) {
		img, err := builtin.Gadget(name)
		if err == nil || !errors.Is(err, builtin.ErrUnknownGadget) {
			return img, nil, err
		}
		if _, statErr := os.Stat(filepath.Join(name, "program.bpf.c")); errors.Is(statErr, fs.ErrNotExist) {
			return nil, nil, err
		}
	}
	if st, err := os.Stat(name); err == nil && st.Mode().IsRegular() {
		img, err := a.openObject(name, warn)
		return img, warn, err
	}
	img, err := a.buildDir(ctx, name, warn)
	return img, warn, err
}

// openObject reads an object that was built before, here or elsewhere, and the gadget.yaml beside it if
// there is one.
func (a *app) openObject(path string, warn builtin.Warn) (*gadget.Image, error) {
	yaml, err := os.ReadFile(filepath.Join(filepath.Dir(path), "gadget.yaml"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	object, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer object.Close()
	name := strings.TrimSuffix(filepath.Base(path), ".o")
	return builtin.ParseForeign(name, object, yaml, warn)
}
