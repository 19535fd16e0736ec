// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/metadata"
)

// objectsDir has the gadgets as they are in the program: NAME/program.o and NAME/gadget.yaml.
const objectsDir = moduleDir + "/catalog/objects"

// hooksOf reads which hooks a gadget needs when it is run with these arguments, from its object and
// its metadata, without asking the program under test.
func hooksOf(t testing.TB, gadget string, args []string) *gadgetHooks {
	t.Helper()
	if !hasProgram(gadget) {
		return &gadgetHooks{}
	}
	spec, err := ebpf.LoadCollectionSpec(filepath.Join(objectsDir, gadget, "program.o"))
	if err != nil {
		t.Fatal(errors.Join(err, errGadgets))
	}
	given := flagsOf(args)
	meta, err := readMetadata(filepath.Join(objectsDir, gadget, "gadget.yaml"), given)
	if err != nil {
		t.Fatal(err)
	}
	g := &gadgetHooks{standIns: markers(t, spec.Types, "gadget_prefer_")}
	loadIf, tryIf := markers(t, spec.Types, "gadget_load_if_"), markers(t, spec.Types, "gadget_try_if_")
	for name, p := range spec.Programs {
		kind, target, _ := strings.Cut(p.SectionName, "/")
		if to := meta.Programs[name].AttachTo; to != "" {
			target = to
		}
		isSet := func(variable string) bool { return isSet(spec, meta, given, variable) }
		needed := len(loadIf[name])+len(tryIf[name]) == 0 || slices.ContainsFunc(loadIf[name], isSet)
		tried := !needed && slices.ContainsFunc(tryIf[name], isSet)
		if (needed || tried) && target != "gadget_program_disabled" {
			g.hooks = append(g.hooks, hook{name, kind, target, tried})
		}
	}
	slices.SortFunc(g.hooks, func(a, b hook) int { return strings.Compare(a.program, b.program) })
	return g
}

// hasProgram reports whether a gadget has programs of its own, and not only built-in data sources.
func hasProgram(gadget string) bool {
	_, noProgram := os.Stat(filepath.Join(objectsDir, gadget, "program.o"))
	_, noMetadata := os.Stat(filepath.Join(objectsDir, gadget, "gadget.yaml"))
	return noProgram == nil || noMetadata != nil
}

// flagsOf returns the values of flags by their names. A flag without a value is true.
func flagsOf(args []string) map[string]string {
	flags := make(map[string]string)
	for i, arg := range args {
		name, ok := strings.CutPrefix(arg, "--")
		if !ok {
			continue
		}
		name, value, given := strings.Cut(name, "=")
		if !given {
			value = "true"
			if i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				value = args[i+1]
			}
		}
		flags[name] = value
	}
	return flags
}

// readMetadata reads a gadget.yaml as the flags of custom params make it.
func readMetadata(path string, flags map[string]string) (*metadata.Metadata, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return new(metadata.Metadata), nil
	}
	if err != nil {
		return nil, err
	}
	meta, err := metadata.Parse(path, text)
	if err != nil {
		return nil, err
	}
	values := make(map[string]string)
	for _, p := range meta.CustomParams() {
		if value, ok := flags[p.Key]; ok {
			values[p.Name] = value
		}
	}
	return meta.WithCustom(values)
}

// isSet reports whether a param of the type bool is true.
func isSet(spec *ebpf.CollectionSpec, meta *metadata.Metadata, flags map[string]string, variable string) bool {
	param := meta.Params.EBPF[variable]
	key := variable
	if param.Key != "" {
		key = param.Key
	}
	if value, ok := flags[key]; ok {
		return value != "false"
	}
	if param.DefaultValue != nil {
		return *param.DefaultValue == "true"
	}
	v := spec.Variables[variable]
	return v != nil && bytes.ContainsFunc(v.Value, func(r rune) bool { return r != 0 })
}

// markers reads the markers PREFIX_A___B, which describe the program A, as lists of B by
// A.
func markers(t testing.TB, types *btf.Spec, prefix string) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for typ, err := range types.All() {
		if err != nil {
			t.Fatal(err)
		}
		v, ok := typ.(*btf.Var)
		if !ok {
			continue
		}
		if names, ok := strings.CutPrefix(v.Name, prefix); ok {
			a, b, _ := strings.Cut(names, "___")
			all[a] = append(all[a], b)
		}
	}
	return all
}
